//! Where frames come from.

pub mod costs;
pub mod gather;
pub mod host;
pub mod live;
