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
    source::{self, News},
    state::Top,
    view,
};

/// How long a key may wait for news, or news for a key.
const LOOK: Duration = Duration::from_millis(50);

/// Shows the program until the user has seen enough. The terminal is restored however that ends.
pub fn show(feed: Feed, address: &Address, interval: Duration) -> Result<(), String> {
    let wrong = |error: io::Error| format!("the terminal cannot be used: {error}");
    let news = source::listen(feed, address.clone()).map_err(|error| error.to_string())?;
    let mut terminal = ratatui::try_init().map_err(wrong)?;
    let result = watch(&mut terminal, &news, Top::new(address.to_string(), interval));
    ratatui::restore();
    result.map_err(wrong)
}

fn watch(terminal: &mut DefaultTerminal, news: &Receiver<News>, mut top: Top) -> io::Result<()> {
    loop {
        terminal.draw(|frame| view::draw(&top, frame))?;
        // Nothing is drawn anew until something has changed.
        let mut has_changed = false;
        while !has_changed {
            let until = Instant::now() + LOOK;
            while event::poll(until.saturating_duration_since(Instant::now()))? {
                has_changed = true;
                if let Event::Key(key) = event::read()? {
                    match keys::wish(key) {
                        Some(Wish::Quit) => return Ok(()),
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
