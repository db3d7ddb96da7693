//! Decodes keys from the bytes that a terminal sends. Read without a library: a key is never left behind in its buffer
//! when the window changes its size at the same moment.

use super::keys::Key;

const ESCAPE: u8 = 0x1b;

/// Takes bytes as they come; a sequence that is cut off is completed by the next ones.
#[derive(Debug, Default)]
pub struct Decoder {
    rest: Vec<u8>,
}

impl Decoder {
    /// The keys that these bytes complete.
    pub fn decode(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.rest.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut left = self.rest.as_slice();
        while let Some((key, used)) = first(left) {
            keys.extend(key);
            left = &left[used..];
        }
        self.rest = left.to_vec();
        keys
    }
}

/// The first key, if it is one that we know, and how many bytes it took; `None` where it is not complete.
fn first(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let one = |key| Some((Some(key), 1));
    match bytes {
        [] => None,
        [ESCAPE, b'[', rest @ ..] => sequence(rest).map(|(key, used)| (key, used + 2)),
        [ESCAPE, b'O'] => None,
        [ESCAPE, b'O', last, ..] => Some((named(*last, 1), 3)),
        [ESCAPE, ..] => one(Key::Esc),
        [b'\r' | b'\n', ..] => one(Key::Enter),
        [b'\t', ..] => one(Key::Tab),
        [0x7f | 0x08, ..] => one(Key::Backspace),
        [control @ 1..=26, ..] => one(Key::Ctrl(char::from(control - 1 + b'a'))),
        [0..=31, ..] => Some((None, 1)),
        [..] => character(bytes),
    }
}

/// Decodes the bytes behind `ESC [`: numbers, and a byte that ends them. Returns the key and the length.
fn sequence(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let end = bytes.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
    let number =
        std::str::from_utf8(&bytes[..end]).ok().and_then(|text| text.split(';').next()?.parse().ok());
    Some((named(bytes[end], number.unwrap_or(1)), end + 1))
}

fn named(last: u8, number: u8) -> Option<Key> {
    Some(match (last, number) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'~', 5) => Key::PageUp,
        (b'~', 6) => Key::PageDown,
        (b'Z', _) => Key::BackTab,
        (b'P', _) | (b'~', 11) => Key::F(1),
        _ => return None,
    })
}

/// A character in UTF-8; what is none is passed over.
fn character(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let length = match bytes[0] {
        0..0x80 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        _ => return Some((None, 1)),
    };
    let whole = bytes.get(..length)?;
    match std::str::from_utf8(whole) {
        Ok(text) => Some((text.chars().next().map(Key::Char), length)),
        Err(_) => Some((None, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Decoder::default().decode(bytes)
    }

    #[test]
    fn terminals_name_their_keys_in_several_ways() {
        use Key::{
            BackTab, Backspace, Char, Ctrl, Down, End, Enter, Esc, F, Home, Left, PageDown, PageUp, Right,
            Tab, Up,
        };
        assert_eq!(keys(b"q\x1b[A\x1b[B\x1b[C\x1b[D\x1bOA"), [Char('q'), Up, Down, Right, Left, Up]);
        assert_eq!(
            keys(b"\x1b[H\x1b[1~\x1bOH\x1b[F\x1b[4~\x1b[5~\x1b[6~"),
            [Home, Home, Home, End, End, PageUp, PageDown]
        );
        assert_eq!(
            keys(b"\r\t\x7f\x08\x1b[Z\x1bOP\x1b[11~"),
            [Enter, Tab, Backspace, Backspace, BackTab, F(1), F(1)]
        );
        assert_eq!(keys(b"\x03\x1a\x0c"), [Ctrl('c'), Ctrl('z'), Ctrl('l')]);
        assert_eq!(keys(b"\x1b[1;5A"), [Up]);
        assert_eq!(keys(b"\x1b"), [Esc]);
        assert_eq!(keys(b"\x1bc"), [Esc, Char('c')]);
    }

    #[test]
    fn what_is_cut_off_is_completed_and_what_is_nothing_is_passed_over() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"\x1b["), []);
        assert_eq!(decoder.decode(b"6~a\xc3"), [Key::PageDown, Key::Char('a')]);
        assert_eq!(decoder.decode(b"\xa9"), [Key::Char('\u{e9}')]);
        assert_eq!(keys(b"\xff\x00\x1b[200~x"), [Key::Char('x')]);
    }

    #[test]
    fn any_bytes_end() {
        for first in 0..=255 {
            for second in [0, 0x1b, b'[', b'O', b'~', 0x80, 0xff] {
                let decoded = keys(&[first, second, b'[', b'9', b'9', b'9', b'~', b'q']);
                assert!(!decoded.is_empty());
            }
        }
    }
}
