//! What keys mean.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Quit,
    Station(Step),
    Ring(Step),
    Pause,
    Help,
}

/// To the next one, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    On,
    Back,
}

impl Step {
    /// From one of so many, round and round.
    pub fn from(self, index: usize, count: usize) -> usize {
        match self {
            _ if count == 0 => 0,
            Self::On => (index + 1) % count,
            Self::Back => index.checked_sub(1).unwrap_or(count - 1),
        }
    }
}

/// Every key, and what the help says of it.
pub const HELP: [(&str, &str); 5] = [
    ("up, down", "select a station"),
    ("tab, left, right", "select a ring"),
    ("p", "pause, and go on"),
    ("?", "this help"),
    ("q, Esc", "quit"),
];

pub fn wish(key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => Some(Wish::Quit),
        _ if is_control => None,
        KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
        KeyCode::Down | KeyCode::Char('j') => Some(Wish::Station(Step::On)),
        KeyCode::Up | KeyCode::Char('k') => Some(Wish::Station(Step::Back)),
        KeyCode::Tab | KeyCode::Right => Some(Wish::Ring(Step::On)),
        KeyCode::BackTab | KeyCode::Left => Some(Wish::Ring(Step::Back)),
        KeyCode::Char('p' | ' ') => Some(Wish::Pause),
        KeyCode::Char('?' | 'h') => Some(Wish::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_round() {
        assert_eq!([0, 1, 2].map(|index| Step::On.from(index, 3)), [1, 2, 0]);
        assert_eq!([0, 1, 2].map(|index| Step::Back.from(index, 3)), [2, 0, 1]);
        assert_eq!(Step::Back.from(0, 0), 0);
    }

    #[test]
    fn both_ways_out_are_known() {
        let quit = [
            KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
            KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE),
        ];
        assert_eq!(quit.map(wish), [Some(Wish::Quit); 2]);
    }
}
