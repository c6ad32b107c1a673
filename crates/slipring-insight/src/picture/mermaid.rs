//! The graph as a Mermaid flowchart.

use std::fmt;

use super::graph::{Graph, Kind, Node};

pub(super) struct Mermaid<'a>(pub &'a Graph);

impl fmt::Display for Mermaid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = self.0;
        writeln!(f, "flowchart LR")?;
        for (index, node) in graph.nodes.iter().enumerate() {
            let (open, close) = shape(node.kind);
            writeln!(f, "    {}{open}\"{}\"{close}", id(index), label(node))?;
        }
        for edge in &graph.edges {
            let figures = edge.figures().map(|figure| escape(&figure));
            let figures = figures.collect::<Vec<_>>().join(", ");
            let arrow = if graph.nodes[edge.to].kind.is_guest { "-.->" } else { "-->" };
            writeln!(f, "    {} {arrow}|\"{figures}\"| {}", id(edge.from), id(edge.to))?;
        }
        let is_changing = |node: &Node| node.kind.mutates && !node.kind.is_producers;
        let changing = (0..graph.nodes.len()).filter(|index| is_changing(&graph.nodes[*index]));
        let changing: Vec<String> = changing.map(id).collect();
        if !changing.is_empty() {
            writeln!(f, "    classDef changes stroke-width:3px")?;
            writeln!(f, "    class {} changes", changing.join(","))?;
        }
        Ok(())
    }
}

/// Names never serve as identifiers.
pub(super) fn id(node: usize) -> String {
    node.checked_sub(1).map_or("producers".to_owned(), |station| format!("s{station}"))
}

fn shape(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind { is_producers: true, .. } => ("{{", "}}"),
        Kind { is_team: true, .. } => ("[[", "]]"),
        Kind { is_guest: true, .. } => ("([", "])"),
        _ => ("[", "]"),
    }
}

fn label(node: &Node) -> String {
    let remarks = node.remarks.iter().map(|remark| escape(remark));
    std::iter::once(escape(&node.name)).chain(remarks).collect::<Vec<_>>().join("<br>")
}

/// Whatever Mermaid, Markdown or HTML could take for their own is written as its number.
fn escape(text: &str) -> String {
    let escape = |character: char| {
        if character.is_ascii() && !is_plain(character) {
            format!("#{};", u32::from(character))
        } else {
            character.to_string()
        }
    };
    text.chars().map(escape).collect()
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || " ,.-/%".contains(character)
}
