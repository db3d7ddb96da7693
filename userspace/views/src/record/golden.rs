//! Recordings that were written before are kept as they are: what comes later reads the same in them, and writes the
//! same again.

use std::{fs, io::Cursor, path::PathBuf};

use serde_json::Value;

use super::*;
use crate::{export::json, files};

/// `unusual` has every field that is left out elsewhere.
const FILES: [&str; 5] = ["plain", "threads", "lossy", "everything", "unusual"];

fn path(name: &str, ending: &str) -> PathBuf {
    format!("{}/src/record/golden/{name}.{ending}", env!("CARGO_MANIFEST_DIR")).into()
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// True if all that was said before is still said. More may be.
fn is_still_said(before: &Value, now: &Value) -> bool {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            before.iter().all(|(key, before)| now.get(key).is_some_and(|now| is_still_said(before, now)))
        }
        (Value::Array(before), Value::Array(now)) => {
            before.len() == now.len()
                && before.iter().zip(now).all(|(before, now)| is_still_said(before, now))
        }
        _ => before == now,
    }
}

#[test]
fn recordings_of_before_are_written_as_they_were_read() {
    let directory = tempfile::tempdir().unwrap();
    for name in FILES {
        let text = fs::read_to_string(path(name, "rec")).unwrap();
        let mut reader = Reader::new(Cursor::new(text.as_bytes()), name.to_owned()).unwrap();
        let copy = directory.path().join(name);
        let mut recorder = Recorder::begin(files::create(&copy).unwrap(), reader.header()).unwrap();
        while let Some(frame) = reader.next_frame().unwrap() {
            recorder.frame(&frame).unwrap();
        }
        recorder.finish().unwrap();
        let (before, now) = (records(&text), records(&fs::read_to_string(copy).unwrap()));
        assert_eq!(before.len(), now.len(), "{name}");
        for (before, now) in before.iter().zip(&now) {
            assert!(before == now, "{name}: {before} was written, and now {now}");
        }
    }
}

/// `UPDATE_GOLDEN=1` stores what is said now.
#[test]
fn recordings_of_before_say_what_they_said() {
    for name in FILES {
        let replay = Reader::open(&path(name, "rec")).unwrap().replay().unwrap();
        let now = json::encode(&replay.session).unwrap();
        let stored = path(name, "json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&stored, &now).unwrap();
        }
        let before = serde_json::from_slice(&fs::read(&stored).unwrap()).unwrap();
        let now = serde_json::from_slice(&now).unwrap();
        assert!(is_still_said(&before, &now), "{name}: compare {} with {now}", stored.display());
    }
}
