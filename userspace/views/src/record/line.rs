//! Lines of bounded length: a file of one endless line fails after a little of it was read.

use std::io::{self, BufRead, Read as _};

/// A line as it was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole one.
    Whole,
    /// The last one, without its end: the writer was stopped in it.
    Cut,
    /// Longer than allowed.
    TooLong,
    /// Nothing is left.
    End,
}

/// Reads the next line into `line`, without its newline.
pub fn next(source: &mut impl BufRead, line: &mut Vec<u8>, longest: usize) -> io::Result<Found> {
    line.clear();
    let read = source.by_ref().take(longest as u64 + 1).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(Found::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Found::Whole);
    }
    Ok(if read > longest { Found::TooLong } else { Found::Cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_or_cut_or_too_long() {
        let mut source: &[u8] = b"one\n\n12345\nlast";
        let mut line = Vec::new();
        let mut found =
            || (next(&mut source, &mut line, 5).unwrap(), String::from_utf8(line.clone()).unwrap());
        assert_eq!(found(), (Found::Whole, "one".to_owned()));
        assert_eq!(found(), (Found::Whole, String::new()));
        assert_eq!(found(), (Found::Whole, "12345".to_owned()));
        assert_eq!(found(), (Found::Cut, "last".to_owned()));
        assert_eq!(found().0, Found::End);
        let mut endless = io::BufReader::new(io::repeat(b'{'));
        assert_eq!(next(&mut endless, &mut line, 1000).unwrap(), Found::TooLong);
        assert_eq!(line.len(), 1001);
    }
}
