//! Notes of probes: the things that they could not do, with the reason.

use model::{session::Session, text::printable};

use super::layout::Layout;

pub fn render(session: &Session, layout: Layout) -> String {
    session.notes.iter().map(|note| layout.wrap("note: ", &printable(note))).collect()
}
