//! Lines and words on a grid of columns.

use crate::columns;

/// A grid that grows as it is drawn upon.
#[derive(Clone, Debug, Default)]
pub(super) struct Canvas {
    rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Cell {
    #[default]
    Empty,
    Line(Stroke),
    /// A word begins here.
    Word(String),
    /// And goes on here.
    Covered,
}

/// Which neighbours a cell has lines to, and whether those that cross in it also meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four directions are four answers")]
struct Stroke {
    up: bool,
    down: bool,
    left: bool,
    right: bool,
    meets: bool,
}

impl Stroke {
    fn glyph(self) -> char {
        let Self { up, down, left, right, meets } = self;
        match (up, down, left, right) {
            (true, true, true, true) if meets => '┼',
            (true, true, true, false) if meets => '┤',
            (true, true, false, true) if meets => '├',
            (true, false, true, true) => '┴',
            (false, true, true, true) => '┬',
            (true, false, false, true) => '└',
            (true, false, true, false) => '┘',
            (false, true, false, true) => '┌',
            (false, true, true, false) => '┐',
            (false, false, _, _) => '─',
            // One line passes under the other.
            _ => '│',
        }
    }
}

impl Canvas {
    /// Writes a word, over whatever is there.
    pub fn word(&mut self, row: usize, column: usize, word: &str) {
        let width = columns(word);
        if width == 0 {
            return;
        }
        *self.cell(row, column) = Cell::Word(word.to_owned());
        for covered in column + 1..column + width {
            *self.cell(row, covered) = Cell::Covered;
        }
    }

    /// Draws from one column up to, and into, another one further right.
    pub fn across(&mut self, row: usize, from: usize, to: usize) {
        for column in from..=to {
            self.stroke(row, column, |stroke| {
                stroke.left |= column > from;
                stroke.right |= column < to;
            });
        }
    }

    /// Draws from one row to another, either way.
    pub fn along(&mut self, column: usize, from: usize, to: usize) {
        let (top, bottom) = (from.min(to), from.max(to));
        for row in top..=bottom {
            self.stroke(row, column, |stroke| {
                stroke.up |= row > top;
                stroke.down |= row < bottom;
            });
        }
    }

    /// Says that the lines in this cell are one.
    pub fn meet(&mut self, row: usize, column: usize) {
        self.stroke(row, column, |stroke| stroke.meets = true);
    }

    /// The lines from top to bottom, without spaces at their ends.
    pub fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| line(row)).collect()
    }

    fn stroke(&mut self, row: usize, column: usize, draw: impl FnOnce(&mut Stroke)) {
        let cell = self.cell(row, column);
        if let Cell::Empty = cell {
            *cell = Cell::Line(Stroke::default());
        }
        if let Cell::Line(stroke) = cell {
            draw(stroke);
        }
    }

    fn cell(&mut self, row: usize, column: usize) -> &mut Cell {
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Vec::new);
        }
        let cells = &mut self.rows[row];
        if cells.len() <= column {
            cells.resize_with(column + 1, Cell::default);
        }
        &mut cells[column]
    }
}

fn line(cells: &[Cell]) -> String {
    let mut line = String::new();
    for cell in cells {
        match cell {
            Cell::Empty => line.push(' '),
            Cell::Line(stroke) => line.push(stroke.glyph()),
            Cell::Word(word) => line.push_str(word),
            Cell::Covered => {}
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_meet_or_pass() {
        let mut canvas = Canvas::default();
        canvas.across(1, 0, 4);
        canvas.along(1, 0, 2);
        canvas.along(3, 0, 2);
        canvas.meet(1, 3);
        assert_eq!(canvas.lines(), [" │ │", "─│─┼─", " │ │"]);
    }

    #[test]
    fn wide_words_move_nothing() {
        let mut canvas = Canvas::default();
        canvas.word(0, 0, "価格");
        canvas.word(0, 5, "|");
        canvas.word(1, 5, "|");
        assert_eq!(canvas.lines(), ["価格 |", "     |"]);
    }
}
