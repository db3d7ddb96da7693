//! No file over 500 lines, tests apart.

use std::{fs, path::Path};

use anyhow::Result;

use crate::workspace;

const LIMIT: usize = 500;

/// Every file that is too long.
pub fn violations() -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for member in workspace::MEMBERS {
        for file in workspace::files(&workspace::root().join(member), ".rs")? {
            let lines = length(&fs::read_to_string(&file)?);
            if !is_test(&file) && lines > LIMIT {
                wrong
                    .push(format!("{}: {lines} lines; split what changes apart", workspace::relative(&file)));
            }
        }
    }
    Ok(wrong)
}

fn is_test(file: &Path) -> bool {
    let dir = file.components().any(|part| part.as_os_str() == "tests");
    dir || file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"))
}

/// Lines before the module of unit tests, which stands last.
fn length(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        assert_eq!(length("a\nb\n\n#[cfg(test)]\nmod tests {\n}\n"), 3);
        assert_eq!(length("a\n#[cfg(test)]\nuse b;\nc\n"), 4);
        assert!(is_test(Path::new("userspace/tests/kernel/x.rs")) && is_test(Path::new("a/loom_tests.rs")));
        assert!(!is_test(Path::new("xtask/src/check/length.rs")));
    }
}
