//! The page: everything in one file, without anything from elsewhere.

use std::fmt::Write as _;

use super::Plot;
use crate::{
    on_slipring::SLIPRING,
    results::Results,
    summary::Summary,
    table::{self, Sheet},
};

const CSS: &str = include_str!("page.css");

const HOW_TO_READ: &str = "<ul>
<li>Every consumer of every run checks count, order and content of what it saw. Figures of a run that \
failed a check are not shown.</li>
<li>Figures do not carry to another machine or day. Only ratios inside one report do. Each round measures \
everybody once, so a ratio of two in the same round is free of what disturbed both.</li>
<li>A throughput without its average batch is half a figure: whoever wakes up later finds more at once, \
and looks faster. See latency beside it.</li>
<li>Latency is measured from the time at which an event was due, not from when it could be sent: a \
producer that is held up does not hide the queue. A rate above a contestant's peak is omitted there: its \
latency would be how long the run was.</li>
<li>Beyond the cores, a figure is as much the scheduler's as the ring's; with the wait <code>spin</code> \
it is the scheduler's alone.</li>
<li>The floor is a minimal ring without any of a library's duties. Held, its consumer keeps its distance \
from the producer while events flow. For latency it is no floor, since it does not fetch ahead: there it is \
called the hand-written ring.</li>
<li>Threads take the cores in turn, producers first; with <code>--pin none</code> the system places them, \
and may start one on the core of another.</li>
<li>Look at the load before and after: a busy neighbour on a core halves everything.</li>
</ul>";

/// The page.
pub fn html(results: &Results, plots: &[Plot]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>slipring: measurements</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n\
         <h1>slipring: measurements</h1>\n"
    );
    let _ = write!(page, "<pre>{}</pre>\n{}", escape(&table::headline(results)), verdict(results));
    page.push_str("<h2 id=\"how\">How to read this</h2>\n");
    page.push_str(HOW_TO_READ);
    if !plots.is_empty() {
        page.push_str("\n<h2 id=\"plots\">Plots</h2>\n");
    }
    for plot in plots {
        let _ = write!(page, "{}", figure(plot));
    }
    let sheets = table::sheets(results);
    if !sheets.is_empty() {
        page.push_str("<h2 id=\"tables\">Tables</h2>\n");
    }
    for sheet in &sheets {
        page.push_str(&sheet_html(sheet));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn verdict(results: &Results) -> String {
    let mut text = String::new();
    for line in table::verdict_lines(&Summary::of(&results.throughput)) {
        let _ = writeln!(text, "<p class=\"verdict\">{}</p>", escape(&line));
    }
    for fault in results.faults() {
        let _ = writeln!(text, "<p class=\"verdict\">FAILED: {}</p>", escape(&fault));
    }
    text
}

fn figure(plot: &Plot) -> String {
    let Plot { name, title, note, svg } = plot;
    let svg = svg.find("<svg").map_or("", |start| &svg[start..]);
    let (title, note) = (escape(title), escape(note));
    format!(
        "<figure id=\"{name}\">\n<h3>{title}</h3>\n{svg}\n<figcaption>{note} \
         <a href=\"{name}.svg\">{name}.svg</a></figcaption>\n</figure>\n"
    )
}

fn sheet_html(sheet: &Sheet) -> String {
    let class = |column: usize| if column < sheet.names { " class=\"name\"" } else { "" };
    let mut text = format!(
        "<details open><summary>{}</summary>\n<div class=\"wide\"><table>\n<tr>",
        escape(&sheet.title)
    );
    for (column, name) in sheet.header.iter().enumerate() {
        let _ = write!(text, "<th{}>{}</th>", class(column), escape(name));
    }
    text.push_str("</tr>\n");
    for row in &sheet.rows {
        let is_ours = row.iter().take(sheet.names).any(|name| name.starts_with(SLIPRING));
        text.push_str(if is_ours { "<tr class=\"ours\">" } else { "<tr>" });
        for (column, figure) in row.iter().enumerate() {
            let _ = write!(text, "<td{}>{}</td>", class(column), escape(figure));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div></details>\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_was_typed_cannot_break_the_page() {
        let mut results = sample::results();
        results.command = "slipring bench --report \"<b>&\"".into();
        let page = html(&results, &[]);
        assert!(page.contains("--report &quot;&lt;b&gt;&amp;&quot;"));
    }

    #[test]
    fn a_fault_is_told_at_the_top() {
        let mut results = sample::results();
        results.throughput[0].fault = Some("the sum is wrong".into());
        assert!(html(&results, &[]).contains("FAILED: slipring in unicast"));
    }
}
