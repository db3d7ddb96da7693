//! Numbers as people read them.

/// A time in ns with three figures and a unit.
pub fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "us"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", figures(value))
}

/// Three significant figures.
fn figures(value: f64) -> String {
    let places = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.places$}")
}

/// A share as a signed percentage.
pub fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures_and_a_unit() {
        for (ns, text) in [
            (0.4, "0.40 ns"),
            (12.34, "12.3 ns"),
            (999.0, "999 ns"),
            (1_500.0, "1.50 us"),
            (2.5e6, "2.50 ms"),
            (3e9, "3.00 s"),
        ] {
            assert_eq!(time(ns), text);
        }
        assert_eq!(percent(0.125), "+12.5 %");
        assert_eq!(percent(-0.02), "-2.0 %");
    }
}
