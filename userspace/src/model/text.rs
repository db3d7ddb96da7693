//! Text from strangers: names of processes and command lines must never steer the reader's terminal.

use std::fmt::Write as _;

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
    fn ordinary_names_stay_as_they_are() {
        for name in ["postgres", "kworker/0:1-ev", "naïve café", "C:\\x", "日本"] {
            assert_eq!(printable(name), name);
        }
    }
}
