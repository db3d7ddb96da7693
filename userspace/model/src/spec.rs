//! Description of a probe, as plain data.

/// A probe's entry in the list of probes.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its stem: the name in commands, files and documents.
    pub name: &'static str,
    /// One line about the data that it shows.
    pub summary: &'static str,
    /// Kernel hooks that it attaches to, in the order of attachment.
    pub hooks: &'static [&'static str],
    /// Requirements on kernel and user.
    pub needs: &'static str,
    /// True if it runs by default.
    pub default: bool,
    /// Its measured cost.
    pub cost: &'static str,
}
