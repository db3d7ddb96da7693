//! No test leaves without a word: it passes, fails, or declares a skip by `need!` of `pulse-trace-testing`.

use std::fs;

use anyhow::Result;

use super::source::code_only;
use crate::workspace;

/// Every test that returns early by itself.
pub fn violations() -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for member in workspace::MEMBERS {
        for file in workspace::files(&workspace::root().join(member), ".rs")? {
            let found = early_returns(&fs::read_to_string(&file)?);
            let place = workspace::relative(&file);
            wrong.extend(
                found.into_iter().map(|line| format!("{place}:{line}: a test returns silently; use need!")),
            );
        }
    }
    Ok(wrong)
}

/// Lines of bare returns in the bodies of tests.
fn early_returns(text: &str) -> Vec<usize> {
    let code = code_only(text);
    let mut found = Vec::new();
    // How far the test that a line is in is indented: its closing brace is, too.
    let mut within: Option<usize> = None;
    for (number, line) in (1..).zip(code.lines()) {
        let word = line.trim_start();
        let indent = line.len() - word.len();
        match within {
            None if word.starts_with("#[test]") || word.starts_with("#[tokio::test") => within = Some(indent),
            Some(test) if indent == test && word.starts_with('}') => within = None,
            Some(_) if is_bare_return(word) => found.push(number),
            _ => {}
        }
    }
    found
}

fn is_bare_return(line: &str) -> bool {
    let mut ends = line.match_indices("return").map(|(at, word)| line[at + word.len()..].trim_start());
    ends.any(|rest| rest.is_empty() || rest.starts_with(';') || rest.starts_with('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_returns_of_tests_are_found() {
        let text = "fn helper() {\n    return;\n}\n\n#[test]\nfn a() {\n    if x {\n        return;\n    }\n}\n\n\
                    #[test]\nfn b() {\n    let Some(x) = y else { return };\n    need!(z);\n}\nfn c() { return; }\n";
        assert_eq!(early_returns(text), [8, 14]);
        assert!(early_returns("#[test]\nfn a() -> u8 {\n    // return;\n    return 1;\n}\n").is_empty());
    }
}
