//! What stations tell of themselves: whatever names and as many figures as a program likes, made fit to be shown.

use std::{borrow::Cow, time::Duration};

use slipring::{Figure, FigureKind, Snapshot, StationSnapshot};

use crate::{columns, figure, fitted, printable};

/// So many figures of a station are sent and read, and so many characters of the name of each.
const FIGURES_MAX: usize = 64;
const CHARACTERS_MAX: usize = 64;

/// So many figures are shown of all stations together.
const SHOWN_MAX: usize = 16;
/// So wide is a name that is shown.
const NAME_COLUMNS_MAX: usize = 20;

/// Cuts off what is more than anybody can read: a server may be any program.
pub(crate) fn bound(snapshot: &mut Snapshot) {
    for StationSnapshot { told, .. } in &mut snapshot.stations {
        told.truncate(FIGURES_MAX);
        for Figure { name, .. } in told {
            if let Some((end, _)) = name.char_indices().nth(CHARACTERS_MAX) {
                *name = Cow::Owned(name[..end].to_owned());
            }
        }
    }
}

/// The names of the figures that are shown: those of which some station has something to say, in the order of their
/// first appearance.
pub(crate) fn names(snapshot: &Snapshot) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for told in snapshot.stations.iter().flat_map(|station| &station.told) {
        if names.len() == SHOWN_MAX {
            break;
        }
        if told.value > 0 && !names.contains(&&*told.name) {
            names.push(&told.name);
        }
    }
    names
}

/// A figure of a station, by its name.
pub(crate) fn find<'a>(told: &'a [Figure], name: &str) -> Option<&'a Figure> {
    told.iter().find(|figure| figure.name == name)
}

/// A figure's name, fit to be shown, and no wider than a column may be.
pub(crate) fn heading(name: &str) -> String {
    let beginning: String = name.chars().take(CHARACTERS_MAX).collect();
    let shown = printable(&beginning);
    if columns(&shown) > NAME_COLUMNS_MAX { fitted(&shown, NAME_COLUMNS_MAX) } else { shown }
}

/// What a figure says.
pub(crate) fn text(told: &Figure) -> String {
    match told.kind {
        FigureKind::Count | FigureKind::Level => figure::grouped(told.value),
        FigureKind::Time => figure::span(Duration::from_nanos(told.value)),
    }
}
