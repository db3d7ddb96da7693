//! The measured part of a page: what stands between two marks, and nothing else.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{say, workspace};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Puts new tables in the place of the old ones.
pub fn publish(file: &str, tables: &str) -> Result<()> {
    let path = workspace::root().join(file);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
    let page = spliced(&page, tables)
        .with_context(|| format!("cannot write {file}: it lacks the marks `{BEGIN}` and `{END}`"))?;
    fs::write(&path, page).with_context(|| format!("cannot write {file}"))?;
    say::note(format_args!("written: {file}"));
    Ok(())
}

fn spliced(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", tables.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_stays() {
        let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nwhy\n");
        let first = spliced(&page, "new\n").unwrap();
        assert_eq!(first, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nwhy\n"));
        assert_eq!(spliced(&first, "new").unwrap(), first);
        assert_eq!(spliced("# A\n", "new"), None);
    }
}
