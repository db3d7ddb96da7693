//! What the fuzz targets have in common.

use pulse_trace::fuzzing::TARGETS;

/// Feeds one target.
///
/// # Panics
/// When there is none of that name, and when the target does, which is a find.
pub fn feed(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").read)(data);
}
