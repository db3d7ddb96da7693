//! Files in `docs/` that the tool writes itself (`pulse-trace __generate DIR`) are as it writes them today.

use std::{fs, path::Path};

use anyhow::Result;

use crate::{
    process::{self, cargo},
    workspace,
};

/// Committed files that differ from what is generated.
pub fn violations() -> Result<Vec<String>> {
    let root = workspace::root();
    if !root.join("userspace/src/main.rs").is_file() {
        return Ok(vec![
            "userspace/src/main.rs is missing: nothing can be generated without the tool".into(),
        ]);
    }
    let fresh = workspace::target()?.join("generated");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh)?;
    let mut generate = cargo(["run", "--quiet", "--package", "pulse-trace", "--", "__generate"]);
    if let Err(error) = process::quietly(generate.arg(&fresh)) {
        return Ok(vec![format!("{error:#}")]);
    }
    stale(&fresh, &root.join("docs"))
}

fn stale(fresh: &Path, docs: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut generated = 0;
    for file in workspace::files(fresh, "")? {
        generated += 1;
        let name = file.strip_prefix(fresh)?;
        let committed = docs.join(name);
        if committed.is_file() && fs::read(&committed)? != fs::read(&file)? {
            let (there, here) = (workspace::relative(&committed), workspace::relative(&file));
            wrong.push(format!("{there} is stale; copy {here} over it"));
        }
    }
    if generated == 0 {
        wrong.push("`pulse-trace __generate` wrote nothing".into());
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_committed_files_can_be_stale() {
        let dir = std::env::temp_dir().join(format!("generated-{}", std::process::id()));
        let put = |path: &str, text: &str| {
            fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
            fs::write(dir.join(path), text).unwrap();
        };
        fs::create_dir_all(dir.join("fresh")).unwrap();
        let nothing = stale(&dir.join("fresh"), &dir.join("docs")).unwrap();
        put("fresh/formats/a.json", "new");
        put("fresh/formats/b.json", "same");
        put("fresh/man/c.1", "not committed");
        put("docs/formats/a.json", "old");
        put("docs/formats/b.json", "same");
        let wrong = stale(&dir.join("fresh"), &dir.join("docs")).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert!(nothing[0].contains("wrote nothing"));
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("a.json is stale"));
    }
}
