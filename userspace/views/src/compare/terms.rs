//! The terms on which files were made: what differs is no reason to refuse, but must be known.

use model::units;

use super::json::{Warning, WarningKind};
use crate::export::json::Export;

/// Files that a warning names.
const NAMED: usize = 4;

/// A condition that files must share: its name, and the function that reads it from a file.
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

/// Share by which durations may differ and totals still be compared: a session ends within some ms of its time, and one
/// per cent more of it is less than a comparison of few rounds can see.
const EVEN: f64 = 0.01;

/// Reason why totals of these files are not those of equal work; `None` where they are: sessions of equal length, or of
/// the same command from its start to its end.
pub fn uneven(files: &[(&str, &Export)]) -> Option<String> {
    let durations = || files.iter().map(|(_, export)| export.session.duration_ns);
    let (shortest, longest) = (durations().min()?, durations().max()?);
    let even = (longest - shortest) as f64 <= EVEN * longest as f64;
    let mut works = files.iter().map(|(_, export)| whole_run(export));
    let work = works.next()?;
    let same = work.is_some() && works.all(|other| other == work);
    let (shortest, longest) = (units::time(shortest), units::time(longest));
    (!even && !same).then(|| format!("the sessions lasted from {shortest} to {longest}"))
}

/// The command of `run` if it was traced to its end: its name without directories, and its arguments.
fn whole_run(export: &Export) -> Option<(&str, &[String])> {
    let words = &export.session.command;
    let at = words.iter().position(|word| word == "--")?;
    let (own, command) = (&words[..at], &words[at + 1..]);
    let limited = own.iter().any(|word| word.starts_with("-d") || word.starts_with("--duration"));
    let whole = own.iter().any(|word| word == "run") && !limited && export.session.finished;
    let (program, arguments) = command.split_first().filter(|_| whole)?;
    Some((program.rsplit('/').next().unwrap_or(program), arguments))
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
    use model::synthetic::{self, Shape};

    use super::*;

    #[test]
    fn totals_are_of_equal_work_when_sessions_are_as_long_or_ran_the_same_command() {
        let session = |seconds: f64, command: &str| {
            let mut export = Export::from(&synthetic::session(7, Shape::default()));
            export.session.duration_ns = (seconds * 1e9) as u64;
            export.session.command = command.split(' ').map(str::to_owned).collect();
            export
        };
        let refused = |left: &Export, right: &Export| uneven(&[("a", left), ("b", right)]);
        let attached = |seconds| session(seconds, "pulse-trace attach -p 7");
        assert_eq!(refused(&attached(10.0), &attached(10.09)), None);
        let said = refused(&attached(238.0), &attached(10.0)).unwrap();
        let (short, long) = (units::time(10_000_000_000), units::time(238_000_000_000));
        assert_eq!(said, format!("the sessions lasted from {short} to {long}"));
        let run = |seconds, words: &str| session(seconds, &format!("pulse-trace run {words}"));
        assert_eq!(refused(&run(1.0, "-- /old/sort a"), &run(2.0, "--json x -- /new/sort a")), None);
        assert!(refused(&run(1.0, "-- sort a"), &run(2.0, "-- sort b")).is_some());
        assert!(refused(&run(1.0, "-d 1s -- sort a"), &run(2.0, "-- sort a")).is_some());
        assert!(refused(&attached(1.0), &run(2.0, "-- sort a")).is_some());
        let mut killed = run(2.0, "-- sort a");
        killed.session.finished = false;
        assert!(refused(&run(1.0, "-- sort a"), &killed).is_some());
    }

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
