//! How large the batches of the selected station are.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style},
    text::Line,
    widgets::{Bar, BarChart, BarGroup},
};
use slipring::BatchSizes;
use slipring_insight::fitted;

use super::pane;
use crate::top::state::{Look, RingView};

const BAR_COLUMNS: u16 = 3;
const GAP_COLUMNS: u16 = 1;

pub fn draw(ring: &RingView, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let Some((place, station)) = ring.station() else { return };
    let account = &station.account;
    let change = look.change.as_ref().and_then(|change| change.stations.get(place));
    let now = change.map_or(account.batch_sizes, |change| change.batch_sizes);
    let name = fitted(&look.picture.table().rows()[place][0], 20);
    let title = format!(" batches of {}, % ", name.trim_end());
    let pane = pane(title).padding(ratatui::widgets::Padding::horizontal(1));
    let room = usize::from(pane.inner(area).width / (BAR_COLUMNS + GAP_COLUMNS));
    let bars = bars(&account.batch_sizes, &now, room);
    let chart = BarChart::default()
        .data(BarGroup::default().bars(&bars))
        .bar_width(BAR_COLUMNS)
        .bar_gap(GAP_COLUMNS)
        .max(100)
        .bar_style(Style::new().fg(Color::Cyan))
        .block(pane);
    frame.render_widget(chart, area);
}

/// The percentages of batches of each size, for those sizes that the station has had. If there is no
/// room for all, for the neighbours that most of its batches were among.
fn bars(ever: &BatchSizes, now: &BatchSizes, room: usize) -> Vec<Bar<'static>> {
    let all = now.batches().max(1);
    let sizes: Vec<(u64, u64)> = ever.iter().map(|(sizes, n)| (*sizes.start(), n)).collect();
    let windows = sizes.windows(room.clamp(1, sizes.len().max(1))).rev();
    let most =
        windows.max_by_key(|window| window.iter().map(|(_, n)| u128::from(*n)).sum::<u128>());
    let bar = |(size, _): &(u64, u64)| {
        let batches = now.iter().find(|(sizes, _)| sizes.start() == size).map_or(0, |(_, n)| n);
        let percent = batches.saturating_mul(100) / all;
        let text = if percent == 0 && batches > 0 { "<1".to_owned() } else { percent.to_string() };
        Bar::default().value(percent).text_value(text).label(Line::from(label(*size)))
    };
    most.unwrap_or_default().iter().map(bar).collect()
}

/// Of a power of two, in three characters.
fn label(size: u64) -> String {
    if size < 1_024 { size.to_string() } else { format!("{}k", size / 1_024) }
}
