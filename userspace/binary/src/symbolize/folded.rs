//! Merged stacks as lines of text that programs for flame graphs read: `main;run;enqueue 12`, the outermost first.

use std::io;

use super::{frame::Frame, stack::End};

/// Writes one merged stack and its count. One that does not reach the entry of its thread begins with the reason.
///
/// # Errors
/// When writing fails.
pub fn write(to: &mut impl io::Write, frames: &[Frame], end: &End, count: u64) -> io::Result<()> {
    let mut parts: Vec<String> = root(end).into_iter().collect();
    for frame in frames.iter().rev() {
        parts.push(escaped(&frame.title()));
        if !frame.is_certain {
            // Callers may be missing between this one and the next.
            parts.push("[?]".to_owned());
        }
    }
    if parts.is_empty() {
        parts.push("[no_stack]".to_owned());
    }
    writeln!(to, "{} {count}", parts.join(";"))
}

/// Reason for which the outermost frame is not the entry of the thread, if it is not.
fn root(end: &End) -> Option<String> {
    Some(match end {
        End::Complete => return None,
        End::CutByCopy => "[cut]".to_owned(),
        End::NoUnwindInfo(module) => format!("[no_unwind_info_in_{}]", escaped(module)),
        End::UnknownRegister(module) => format!("[unknown_register_in_{}]", escaped(module)),
        End::Implausible => "[broken]".to_owned(),
        End::Unobserved => "[unobserved]".to_owned(),
        End::Unread => "[unread]".to_owned(),
    })
}

/// A name without what the format gives a meaning to, and without what a terminal would obey.
fn escaped(name: &str) -> String {
    let plain = |c| match c {
        ';' => ':',
        c if c.is_control() || c.is_whitespace() => '_',
        c => c,
    };
    model::text::printable(&name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str) -> Frame {
        Frame::named(name, "m")
    }

    fn line(frames: &[Frame], count: u64) -> String {
        let mut text = Vec::new();
        write(&mut text, frames, &End::Complete, count).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_outermost_frame_comes_first() {
        assert_eq!(line(&[frame("c"), frame("b"), frame("a")], 7), "a;b;c 7\n");
        assert_eq!(line(&[], 3), "[no_stack] 3\n");
    }

    #[test]
    fn a_cut_stack_is_not_taken_for_a_whole_one() {
        let mut text = Vec::new();
        write(&mut text, &[frame("c"), frame("b")], &End::CutByCopy, 2).unwrap();
        assert_eq!(text, b"[cut];b;c 2\n");
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
