//! Head of the report: targets, time, and machine.

use model::{session::Session, text::printable, units};

use super::layout::{Layout, Tone};

/// More targets than this are counted, not listed.
const LISTED_TARGETS: usize = 12;

pub fn render(session: &Session, layout: Layout) -> String {
    let header = &session.header;
    let cpus = if header.cpus == 1 { "CPU" } else { "CPUs" };
    let title = format!(
        "pulse-trace {}, Linux {} {}, {} {cpus}, clock {}",
        printable(&header.tool_version),
        printable(&header.kernel),
        printable(&header.arch),
        header.cpus,
        printable(&header.clock)
    );
    let command = header.command.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
    let traced = format!(
        "{} from {}, probes: {}",
        units::time(session.duration_ns),
        units::utc(header.start_unix_ns),
        printable(&header.probes.join(", "))
    );
    let mut text = layout.paint(Tone::Title, layout.wrap("", &title).trim_end()) + "\n";
    if !command.is_empty() {
        text += &layout.wrap("command  ", &command);
    }
    text += &layout.wrap("traced   ", &traced);
    text += &layout.wrap("targets  ", &targets(session));
    if !session.finished {
        let words = "The recording has no last record: the tool was killed, or is still running. What follows reaches \
                     up to the last whole interval.";
        text += &layout.paint(Tone::Alarm, &layout.wrap("", words));
    }
    text
}

fn targets(session: &Session) -> String {
    let ids = &session.header.targets;
    let mut listed: Vec<String> = ids.iter().take(LISTED_TARGETS).map(u32::to_string).collect();
    if ids.len() > LISTED_TARGETS {
        listed.push(format!("and {} more", ids.len() - LISTED_TARGETS));
    }
    let (seen, ended) = session.processes_seen();
    let noun = if seen == 1 { "process" } else { "processes" };
    let mut words = if listed.is_empty() { String::new() } else { format!("{}: ", listed.join(", ")) };
    words += &format!("{seen} {noun} seen");
    if ended > 0 {
        words += &format!(", {ended} ended meanwhile");
    }
    words
}

/// A word of a command line as a shell would have to be given it.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", printable(word).replace('\'', "'\\''"))
}
