//! What a probe is, as plain data.

/// A probe's entry in the list of probes.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its stem: the name in commands, files and documents.
    pub name: &'static str,
    /// What it shows.
    pub summary: &'static str,
    /// Kernel hooks that it attaches to, in the order of attachment.
    pub hooks: &'static [&'static str],
    /// What it needs of kernel and user.
    pub needs: &'static str,
    /// Whether it runs when nobody chooses.
    pub default: bool,
    /// Its measured cost.
    pub cost: &'static str,
}
