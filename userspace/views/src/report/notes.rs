//! What a probe could not do, and why.

use model::{session::Session, text::printable};

use super::layout::Layout;

pub fn render(session: &Session, layout: Layout) -> String {
    session.notes.iter().map(|note| layout.wrap("note: ", &printable(note))).collect()
}
