//! Every key and what it does.

use ratatui::{buffer::Buffer, layout::Rect};

use super::parts;
use crate::{app::App, palette::Look};

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    parts::table(buf, look, area, &app.shown.table, Some(app.table()));
}
