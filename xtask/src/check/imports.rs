//! Which modules and crates a source file mentions.

use super::source;

/// A name that stands at the root of a path, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Mention {
    /// Module or crate.
    pub name: String,
    /// Counted from 1.
    pub line: usize,
}

/// Modules of the crate itself that a file names, `depth` being how many `super` lead from it to the root.
pub fn modules(text: &str, depth: usize) -> Vec<Mention> {
    let code = source::code_only(text);
    let mut found = Vec::new();
    for (at, word) in words(&code) {
        if preceded_by_path(&code, at) {
            continue;
        }
        let after = &code[at + word.len()..];
        let tail = match word {
            "crate" | "pulse_trace" => after.strip_prefix("::"),
            "super" => above_root(after, depth),
            _ => None,
        };
        let line = 1 + code[..at].matches('\n').count();
        let names = tail.map(first_names).unwrap_or_default();
        found.extend(names.into_iter().map(|name| Mention { name: name.to_owned(), line }));
    }
    found
}

/// Where a file names the given crate.
pub fn crate_lines(text: &str, name: &str) -> Vec<usize> {
    let code = source::code_only(text);
    words(&code)
        .filter(|(at, word)| *word == name && !preceded_by_path(&code, *at))
        .filter(|(at, _)| {
            let after = &code[at + name.len()..];
            after.starts_with("::") || after.starts_with(';') && code[..*at].trim_end().ends_with("use")
        })
        .map(|(at, _)| 1 + code[..at].matches('\n').count())
        .collect()
}

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let word_char = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c| !word_char(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

fn preceded_by_path(code: &str, at: usize) -> bool {
    // `$crate` is a macro's own crate, `r#crate` cannot be; a path before means that this is not its root.
    code[..at].ends_with("::")
}

/// What follows a chain of `super` that reaches the root.
fn above_root(mut after: &str, depth: usize) -> Option<&str> {
    let mut climbed = 1;
    loop {
        after = after.strip_prefix("::")?;
        match after.strip_prefix("super") {
            Some(next) => {
                climbed += 1;
                after = next;
            }
            None => return (climbed >= depth).then_some(after),
        }
    }
}

/// The first names of a path or of a group of paths.
fn first_names(tail: &str) -> Vec<&str> {
    let tail = tail.trim_start();
    let Some(group) = tail.strip_prefix('{') else {
        return words(tail).next().filter(|(at, _)| *at == 0).map(|(_, word)| word).into_iter().collect();
    };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut expected = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            _ if expected && !c.is_whitespace() => {
                names.extend(words(&group[at..]).next().filter(|(at, _)| *at == 0).map(|(_, word)| word));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, depth: usize) -> Vec<String> {
        modules(text, depth).into_iter().map(|mention| mention.name).collect()
    }

    #[test]
    fn paths_and_groups_are_found() {
        assert_eq!(names("use crate::kernel::{a, b};", 1), ["kernel"]);
        assert_eq!(names("use crate::{\n kernel::{a, b::c},\n model,\n};", 1), ["kernel", "model"]);
        assert_eq!(names("fn f() { pulse_trace::cli::run() }", 1), ["cli"]);
        assert_eq!(names("// crate::x\nlet y = \"crate::z\";", 1), Vec::<String>::new());
        assert_eq!(names("use aya::crate_like::x; use other::crate::x;", 1), Vec::<String>::new());
    }

    #[test]
    fn only_a_super_that_reaches_the_root_counts() {
        assert_eq!(names("use super::model::Frame;", 1), ["model"]);
        assert_eq!(names("use super::model::Frame;", 2), Vec::<String>::new());
        assert_eq!(names("use super::super::{model, probes::x};", 2), ["model", "probes"]);
        assert_eq!(names("use super::*;", 1), Vec::<String>::new());
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let mentions = modules("\n/* x\n */\nuse crate::model;", 1);
        assert_eq!(mentions, [Mention { name: "model".into(), line: 4 }]);
        assert_eq!(
            crate_lines("use x;\nuse aya::maps;\nfn f(a: aya::Y, aya: u8) {}\nuse aya;", "aya"),
            [2, 3, 4]
        );
        assert_eq!(crate_lines("use crate::aya::x;", "aya"), Vec::<usize>::new());
    }
}
