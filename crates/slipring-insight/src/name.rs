//! Names are whatever a program calls its stations: made fit to be shown, and measured.

use unicode_width::UnicodeWidthStr;

/// The name with nothing in it that moves a cursor, breaks a line or turns the direction of writing:
/// such characters stand as Rust writes them, `\n` or `\u{202e}`. A name that would not be seen to begin or to end
/// there, because of a space or because it is empty, stands in quotes.
///
/// # Examples
/// ```
/// use slipring_insight::printable;
///
/// assert_eq!(printable("prix été 価格"), "prix été 価格");
/// assert_eq!(printable("two\nlines"), "two\\nlines");
/// assert_eq!(printable("spaced "), "\"spaced \"");
/// ```
pub fn printable(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for character in name.chars() {
        let is_odd_space = character.is_whitespace() && character != ' ';
        if character.is_control() || is_odd_space || steers(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    let is_bounded = !shown.is_empty() && shown.trim_matches(' ') == shown;
    if is_bounded { shown } else { format!("\"{shown}\"") }
}

/// Whether it is there to steer how others are written, or cannot be seen at all.
fn steers(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// How many columns of a terminal a text takes.
///
/// # Examples
/// ```
/// assert_eq!(slipring_insight::columns("価格"), 4);
/// ```
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The text in exactly so many columns: filled up with spaces, or cut with an ellipsis. Of one that has very many
/// characters in few columns, only the first ones are looked at.
///
/// # Examples
/// ```
/// use slipring_insight::fitted;
///
/// assert_eq!(fitted("risk", 6), "risk  ");
/// assert_eq!(fitted("inventory", 6), "inven…");
/// assert_eq!(fitted("価格表", 4), "価… ");
/// ```
pub fn fitted(text: &str, width: usize) -> String {
    // What is cut is measured again and again: megabytes of it would take for ever.
    let most = width.saturating_mul(16).saturating_add(64);
    let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
    let mut shown = text[..end].to_owned();
    if end < text.len() || columns(text) > width {
        while columns(&shown) + 1 > width && shown.pop().is_some() {}
        if width > 0 {
            shown.push('…');
        }
    }
    let missing = width.saturating_sub(columns(&shown));
    shown + &" ".repeat(missing)
}

/// The text at the right end of so many columns. What is wider stays as it is.
///
/// # Examples
/// ```
/// assert_eq!(slipring_insight::at_right("7", 3), "  7");
/// ```
pub fn at_right(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(columns(text))) + text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_megabytes_is_cut_at_once() {
        assert_eq!(fitted(&"x".repeat(4 << 20), 3), "xx…");
        // Marks that take no column of their own.
        let marks = format!("e{}", "\u{301}".repeat(1 << 20));
        assert_eq!(columns(&fitted(&marks, 3)), 3);
    }
}
