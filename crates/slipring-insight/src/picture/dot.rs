//! The graph in the language of Graphviz.

use std::fmt;

use super::{
    graph::{Graph, Kind, Node},
    mermaid::id,
};

pub(super) struct Dot<'a> {
    pub name: &'a str,
    pub graph: &'a Graph,
}

impl fmt::Display for Dot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = self.graph;
        writeln!(f, "digraph {} {{", quoted([self.name]))?;
        writeln!(f, "    graph [rankdir=LR];")?;
        writeln!(f, "    node [shape=box, fontname=\"sans-serif\"];")?;
        writeln!(f, "    edge [fontname=\"sans-serif\"];")?;
        for (index, node) in graph.nodes.iter().enumerate() {
            let label = quoted(std::iter::once(&node.name).chain(&node.remarks));
            writeln!(f, "    {} [label={label}{}];", id(index), looks(node))?;
        }
        for edge in &graph.edges {
            let label = quoted(edge.figures());
            let style = if graph.nodes[edge.to].kind.is_guest { ", style=dashed" } else { "" };
            writeln!(f, "    {} -> {} [label={label}{style}];", id(edge.from), id(edge.to))?;
        }
        writeln!(f, "}}")
    }
}

fn looks(node: &Node) -> String {
    let Kind { is_producers, is_guest, is_team, mutates } = node.kind;
    let attributes = [
        (is_producers, ", shape=hexagon"),
        (is_team, ", peripheries=2"),
        (is_guest, ", style=\"rounded,dashed\""),
        (mutates && !is_producers, ", penwidth=3"),
    ];
    attributes.into_iter().filter_map(|(applies, text)| applies.then_some(text)).collect()
}

/// Lines in quotes. Graphviz reads escapes and HTML's entities in them.
fn quoted(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let escape = |line: &str| line.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;");
    let lines: Vec<String> = lines.into_iter().map(|line| escape(line.as_ref())).collect();
    format!("\"{}\"", lines.join("\\n"))
}
