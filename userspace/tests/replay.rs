//! Reports and exports of a recording are byte for byte those of the live session.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::PathBuf};

use model::synthetic::{self, Shape};
use tempfile::TempDir;
use views::{
    export::json,
    files,
    record::{Reader, Recorder},
    report,
};

fn recorded(seed: u64, shape: Shape) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording");
    let mut recorder = Recorder::begin(files::create(&path).unwrap(), &synthetic::header(shape)).unwrap();
    synthetic::frames(seed, shape).iter().for_each(|frame| recorder.frame(frame).unwrap());
    recorder.finish().unwrap();
    (directory, path)
}

#[test]
fn report_and_export_of_a_replay_are_those_of_the_live_session() {
    for seed in 0..12 {
        let threads = (seed % 3) as u32;
        let shape = Shape {
            threads,
            inline: seed % 3 == 0,
            events: seed % 2 == 1,
            lossy: seed % 2 == 0,
            processes: 1 + seed as u32 % 4,
            frames: 3,
        };
        let live = synthetic::session(seed, shape);
        let (_directory, path) = recorded(seed, shape);
        let replay = Reader::open(&path).unwrap().replay().unwrap().session;
        for width in [80, 120] {
            let options =
                report::Options { width, histograms: true, threads: threads > 0, ..Default::default() };
            assert_eq!(report::render(&replay, &options), report::render(&live, &options), "seed {seed}");
        }
        assert_eq!(json::encode(&replay).unwrap(), json::encode(&live).unwrap(), "seed {seed}");
    }
}

#[test]
fn an_export_is_not_taken_for_a_recording() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.json");
    fs::write(&path, json::encode(&synthetic::session(1, Shape::default())).unwrap()).unwrap();
    let error = Reader::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("it is a JSON export, which does not hold the frames; name a file"), "{error}");
}
