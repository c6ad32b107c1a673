//! The terminal: draws what has changed, and listens to the keys.

use std::{
    io,
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event},
};
use slipring_insight::{Address, Feed};

use super::{
    keys::{self, Wish},
    signals::{Signal, Signals},
    source::{self, News},
    state::Top,
    view,
};

/// How long a key may wait for news, or news for a key.
const LOOK: Duration = Duration::from_millis(50);

/// Shows the program until the user has seen enough, or a signal asks for the end. The terminal is restored however
/// that comes.
pub fn show(feed: Feed, address: &Address, interval: Duration) -> Result<(), String> {
    let wrong = |error: io::Error| format!("the terminal cannot be used: {error}");
    let news = source::listen(feed, address.clone()).map_err(|error| error.to_string())?;
    let signals = Signals::listen().map_err(wrong)?;
    let mut terminal = ratatui::try_init().map_err(wrong)?;
    let top = Top::new(address.to_string(), interval);
    let result = watch(&mut terminal, &news, &signals, top);
    // It has the cursor shown again.
    drop(terminal);
    ratatui::restore();
    match result.map_err(wrong)? {
        Some(signal) => Signals::obey(signal).map_err(wrong),
        None => Ok(()),
    }
}

/// What ended it, if that was a signal.
fn watch(
    terminal: &mut DefaultTerminal,
    news: &Receiver<News>,
    signals: &Signals,
    mut top: Top,
) -> io::Result<Option<Signal>> {
    loop {
        terminal.draw(|frame| view::draw(&top, frame))?;
        // Nothing is drawn anew until something has changed.
        let mut has_changed = false;
        while !has_changed {
            if let Some(signal) = signals.asked() {
                return Ok(Some(signal));
            }
            let until = Instant::now() + LOOK;
            while event::poll(until.saturating_duration_since(Instant::now()))? {
                has_changed = true;
                if let Event::Key(key) = event::read()? {
                    match keys::wish(key) {
                        Some(Wish::Quit) => return Ok(None),
                        Some(wish) => top.grant(wish),
                        None => {}
                    }
                }
            }
            for news in news.try_iter() {
                has_changed = true;
                top.hear(news);
            }
        }
    }
}
