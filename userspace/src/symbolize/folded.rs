//! Merged stacks as lines of text that programs for flame graphs read: `main;run;enqueue 12`, the outermost first.

use std::io;

use super::frame::Frame;

/// Writes one merged stack and its count.
///
/// # Errors
/// When writing fails.
pub fn write(to: &mut impl io::Write, frames: &[Frame], count: u64) -> io::Result<()> {
    let mut line = String::new();
    for frame in frames.iter().rev() {
        if !line.is_empty() {
            line.push(';');
        }
        line.push_str(&escaped(&frame.title()));
        if !frame.is_certain {
            // Callers may be missing between this one and the next.
            line.push_str(";[?]");
        }
    }
    if line.is_empty() {
        line.push_str("[no stack]");
    }
    writeln!(to, "{line} {count}")
}

/// A name without what the format gives a meaning to, and without what a terminal would obey.
fn escaped(name: &str) -> String {
    let plain = |c| match c {
        ';' => ':',
        c if c.is_control() || c.is_whitespace() => '_',
        c => c,
    };
    crate::model::text::printable(&name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str) -> Frame {
        Frame::named(name, "m")
    }

    fn line(frames: &[Frame], count: u64) -> String {
        let mut text = Vec::new();
        write(&mut text, frames, count).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_outermost_frame_comes_first() {
        assert_eq!(line(&[frame("c"), frame("b"), frame("a")], 7), "a;b;c 7\n");
        assert_eq!(line(&[], 3), "[no stack] 3\n");
    }

    #[test]
    fn no_name_can_break_a_line() {
        let nasty = frame("operator new(unsigned long);\n x\u{1b}[2J\t9");
        assert_eq!(line(&[nasty, frame("a")], 1), "a;operator_new(unsigned_long):__x_[2J_9 1\n");
    }

    #[test]
    fn a_gap_is_shown() {
        let mut far = frame("main");
        far.is_certain = false;
        assert_eq!(line(&[frame("leaf"), far], 1), "main;[?];leaf 1\n");
    }
}
