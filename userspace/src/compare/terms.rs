//! The terms on which files were made: what differs is no reason to refuse, but must be known.

use super::json::{Warning, WarningKind};
use crate::export::json::Export;

/// Files that a warning names.
const NAMED: usize = 4;

/// What it is called, and how it is told of a file.
type Thing = (&'static str, fn(&Export) -> String);

/// A warning for each thing in which the files differ, with the name of it.
pub fn unequal(files: &[(&str, &Export)]) -> Vec<Warning> {
    let things: [Thing; 5] = [
        ("kernels", |export| export.host.kernel.clone()),
        ("numbers of CPUs", |export| export.host.cpus.to_string()),
        ("clocks", |export| export.host.clock.clone()),
        ("versions of pulse-trace", |export| export.tool.version.clone()),
        ("scopes", |export| if export.session.per_thread { "by thread" } else { "by process" }.to_owned()),
    ];
    things.into_iter().filter_map(|(name, of)| differ(name, files, of)).collect()
}

fn differ(name: &str, files: &[(&str, &Export)], of: fn(&Export) -> String) -> Option<Warning> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (file, export) in files {
        let value = of(export);
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, names)) => names.push(file),
            None => groups.push((value, vec![file])),
        }
    }
    if groups.len() < 2 {
        return None;
    }
    let said = groups.iter().map(|(value, names)| {
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named: Vec<&str> = names.iter().take(NAMED).copied().collect();
        format!("{value} in {}{more}", named.join(", "))
    });
    let text = format!("the {name} differ: {}", said.collect::<Vec<_>>().join("; "));
    Some(Warning { kind: WarningKind::Unequal, column: None, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::synthetic::{self, Shape};

    #[test]
    fn what_differs_is_named_with_the_files_it_differs_in() {
        let first = Export::from(&synthetic::session(7, Shape::default()));
        let mut second = first.clone();
        assert!(unequal(&[("a", &first), ("b", &second)]).is_empty());
        second.host.kernel = "5.10.0".to_owned();
        second.host.cpus = first.host.cpus + 1;
        second.tool.version = "0.0.0".to_owned();
        let told = unequal(&[("a", &first), ("b", &second), ("c", &first)]);
        let starts: Vec<&str> = told.iter().map(|it| it.text.split(':').next().unwrap_or_default()).collect();
        assert_eq!(
            starts,
            ["the kernels differ", "the numbers of CPUs differ", "the versions of pulse-trace differ"]
        );
        assert!(told[0].text.ends_with(&format!("{} in a, c; 5.10.0 in b", first.host.kernel)), "{told:?}");
    }
}
