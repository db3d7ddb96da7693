//! Text from strangers: names of processes and command lines must never steer the reader's terminal.

use std::fmt::Write as _;

use super::units;

/// The text with everything that a terminal could obey, or that would hide or reorder what follows, spelled out:
/// `\n`, `\x1b`, `\u{202e}`. Backslashes stay as they are: the result is for reading, not for undoing.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            c if c.is_ascii_control() => push(&mut shown, format_args!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || invisible(c) => {
                push(&mut shown, format_args!("\\u{{{:x}}}", u32::from(c)))
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Longest message that is shown: names and paths of strangers may have any length.
const LONGEST_MESSAGE: usize = 4000;

/// A message for a terminal: line breaks stay, everything else that a terminal could obey is spelled out, and what is
/// too long is cut.
#[must_use]
pub fn message(text: &str) -> String {
    let mut shown = text.split('\n').map(printable).collect::<Vec<_>>().join("\n");
    if let Some((at, _)) = shown.char_indices().nth(LONGEST_MESSAGE) {
        let more = shown.len() - at;
        shown.truncate(at);
        push(&mut shown, format_args!("... ({more} more bytes)"));
    }
    shown
}

/// JSON in which nothing is left that a terminal could obey: such characters are only in strings, where they can be
/// spelled out without another meaning.
#[must_use]
pub fn quiet_json(json: String) -> String {
    let speaks = |c: char| (c.is_control() && !matches!(c, '\n' | '\t' | '\r')) || invisible(c);
    if !json.chars().any(speaks) {
        return json;
    }
    let mut quiet = String::with_capacity(json.len() + 64);
    let mut units = [0; 2];
    for c in json.chars() {
        if speaks(c) {
            c.encode_utf16(&mut units)
                .iter()
                .for_each(|unit| push(&mut quiet, format_args!("\\u{unit:04x}")));
        } else {
            quiet.push(c);
        }
    }
    quiet
}

/// The name of a process or thread as it is shown.
#[must_use]
pub fn name(comm: &str) -> String {
    if comm.is_empty() { "(no name)".to_owned() } else { printable(comm) }
}

/// A process as it is shown: its name behind its id; where it has no id, for how many ended processes it stands.
#[must_use]
pub fn process(pid: u32, comm: &str, folded: u64) -> String {
    let name = name(comm);
    match (pid, folded) {
        (0, 0) => name,
        (0, 1) => format!("{name}, 1 ended process"),
        (0, folded) => format!("{name}, {} ended processes", units::count(folded)),
        (pid, _) => format!("{pid} {name}"),
    }
}

/// A name as the kernel has it: up to the first zero.
#[must_use]
pub fn of_comm(comm: &[u8]) -> String {
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..len]).into_owned()
}

fn push(shown: &mut String, escape: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = shown.write_fmt(escape);
}

/// Zero-width characters, line and paragraph separators, and those that turn the writing direction.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(printable("\x1b]0;owned\x07\r\n"), "\\x1b]0;owned\\x07\\r\\n");
        assert_eq!(printable("a\u{9b}2Jb\x7f"), "a\\u{9b}2Jb\\x7f");
        assert_eq!(printable("\u{202e}txt.exe\u{200b}"), "\\u{202e}txt.exe\\u{200b}");
        let everything: String = (0..=0x2_ffff).filter_map(char::from_u32).collect();
        assert!(!printable(&everything).chars().any(|c| c.is_control() || invisible(c)));
    }

    #[test]
    fn a_message_keeps_its_lines_and_has_an_end() {
        assert_eq!(message("cannot open \x1b[2Jx:\n  no\u{202e}t"), "cannot open \\x1b[2Jx:\n  no\\u{202e}t");
        let long = message(&"\u{e9}".repeat(50_000));
        assert!(
            long.len() < 9000 && long.ends_with("... (92000 more bytes)"),
            "{}",
            &long[long.len() - 40..]
        );
    }

    #[test]
    fn quiet_json_means_what_it_did() {
        let everything: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let quiet = quiet_json(serde_json::to_string(&everything).unwrap());
        assert!(!quiet.chars().any(|c| c.is_control() || invisible(c)));
        assert_eq!(serde_json::from_str::<String>(&quiet).unwrap(), everything);
        assert_eq!(quiet_json("{\n  \"a\": 1\n}".to_owned()), "{\n  \"a\": 1\n}");
    }

    #[test]
    fn a_process_is_named_with_its_id_or_with_the_number_that_it_stands_for() {
        assert_eq!(process(7, "", 0), "7 (no name)");
        assert_eq!(process(0, "[others]", 0), "[others]");
        assert_eq!(process(0, "make", 1), "make, 1 ended process");
        assert_eq!(process(0, "make\n", 12), "make\\n, 12 ended processes");
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["postgres", "kworker/0:1-ev", "naïve café", "C:\\x", "日本"] {
            assert_eq!(printable(name), name);
        }
    }
}
