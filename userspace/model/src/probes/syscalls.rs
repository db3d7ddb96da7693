//! The probe `syscalls`.

use super::{Hook, Spec, hook};

/// The exits come first: an entry whose exit is not seen would be taken for a call in flight.
pub(super) const HOOKS: &[Hook] = &[
    hook("syscalls_exit", "sys_exit"),
    Hook { fallback: Some("syscalls_enter_raw"), ..hook("syscalls_enter", "sys_enter") },
];

pub(super) const SPEC: Spec = Spec {
    name: "syscalls",
    summary: "count, errors and latency distribution of every system call, by process or thread",
    hooks: HOOKS,
    default: true,
    cost: "0.19 us per call of a target, 0.13 us of it in these programs; 0.10 us per call of any other process, 0.02 us of it in \
           them",
    ..Spec::NONE
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the columns of a row of `docs/results/overhead.md`: ns in the programs, ns of the loop.
    fn measured(tool: &str) -> (f64, f64) {
        let page = include_str!("../../../../docs/results/overhead.md");
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {tool} |"))).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let first = |text: &str| text.split(' ').next().and_then(|word| word.parse().ok());
        let of_loop = cells[1].split_once(" x, ").and_then(|(_, ns)| first(ns));
        (first(cells[0]).unwrap_or(0.0), of_loop.unwrap())
    }

    #[test]
    fn what_it_is_said_to_cost_is_what_was_measured() {
        let (_, alone) = measured("nothing");
        let us = |ns: f64| format!("{:.2} us", ns / 1000.0);
        let (programs, traced) = measured("pulse-trace");
        let (others, strangers) = measured("pulse-trace, of a non-target");
        let figures = [us(traced - alone), us(programs), us(strangers - alone), us(others)];
        let mut rest = SPEC.cost;
        for figure in &figures {
            rest = rest.split_once(figure.as_str()).unwrap_or_else(|| panic!("{figure} in {rest:?}")).1;
        }
        // Each figure, and the factors of the cheapest call, stand in the README too.
        let readme = include_str!("../../../../README.md").replace('\n', " ");
        let factors = [traced / alone, strangers / alone].map(|factor| format!("{factor:.1} times"));
        for figure in figures[..3].iter().chain(&factors) {
            assert!(readme.contains(figure.as_str()), "{figure} in README.md");
        }
    }
}
