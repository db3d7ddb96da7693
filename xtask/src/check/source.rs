//! Rust source with everything taken out that is not code, so that a search finds code only.

/// The same text with comments and the insides of literals blanked; lines and columns stay where they were.
pub fn code_only(text: &str) -> String {
    let mut scanner = Scanner { rest: text, kept: String::with_capacity(text.len()) };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.kept
}

struct Scanner<'a> {
    rest: &'a str,
    kept: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some(len) = raw_string(self.rest).filter(|_| !self.in_word()) {
            self.blank(len);
        } else if self.rest.starts_with('"') {
            self.blank(quoted(self.rest, '"'));
        } else if is_char_literal(self.rest) {
            self.blank(quoted(self.rest, '\''));
        } else {
            let len = self.rest.chars().next().map_or(0, char::len_utf8);
            self.kept.push_str(&self.rest[..len]);
            self.rest = &self.rest[len..];
        }
    }

    fn in_word(&self) -> bool {
        self.kept.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    fn blank(&mut self, len: usize) {
        let (gone, rest) = self.rest.split_at(len);
        self.kept.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// Length of a comment that may contain others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of `r"..."`, `r#"..."#` and their byte forms.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// Length of a literal that ends at the first quote without a backslash before it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Tells `'a'` and `'\n'` from a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('\'')
        && match chars.next() {
            Some('\\') => true,
            Some(_) => chars.next() == Some('\''),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let text = "a /* b /* c */ d */ e // f\ng \"h\\\" i\" 'j' '\\'' r#\"k\" l\"# &'m n br\"o\" wr\"p\" ü";
        let code = code_only(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "e", "g", "&'m", "n", "wr", "ü"]);
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn unfinished_literals_end_with_the_text() {
        for text in ["\"a", "'\\", "/* a", "r#\"a\"", "// a", "r", "'"] {
            assert_eq!(code_only(text).chars().count(), text.chars().count(), "{text}");
        }
    }
}
