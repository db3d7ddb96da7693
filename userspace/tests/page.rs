//! The HTML page in a browser: it draws without a complaint, fits small and large windows, dark and light, and its
//! figures are those of the JSON.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::PathBuf, process::Command};

use model::{
    frame::ProcessKey,
    locks::{self, FutexStats, LockPlace, StackCount},
    session::{Process, Session},
    synthetic::{self, Shape},
    text,
};
use pulse_trace_testing::{installed, need};
use serde_json::Value;
use views::{
    compare::synthetic::comparison,
    export::{html, json},
    files,
    record::Recorder,
    report,
};

const LISTENER: &str = include_str!("page/listener.js");
const PROBE: &str = include_str!("page/probe.js");
/// Shows the page at a width, and writes down what it tells.
const FRAME: &str = "<!doctype html><script>onmessage = (event) => { const pre = document.createElement('pre'); \
                     pre.id = 'probe'; pre.textContent = event.data; document.body.append(pre); };</script><body \
                     style='margin:0'><iframe src='page.html' width='WIDTH' height='900' style='border:0'></iframe>";
/// A name that would like to be more.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>";

fn session() -> Session {
    let mut session = synthetic::session(7, Shape { processes: 4, ..Shape::default() });
    let process = session.processes.values_mut().next().unwrap();
    process.comm = HOSTILE.to_owned();
    // Processes without an id, of whose calls it is not known what they waited for.
    let mut several = Process { syscalls: process.syscalls.clone(), threads: 30, ..Process::default() };
    several.syscalls.values_mut().for_each(|stats| (stats.blocked_ns, stats.queued_ns) = (0, 0));
    for (joined_ns, comm, folded) in [(0, "[others]", 0), (1, "make", 12), (2, "sh", 1)] {
        let process = Process { comm: comm.to_owned(), folded, ..several.clone() };
        session.processes.insert(ProcessKey { pid: 0, joined_ns }, process);
    }
    session.ledger.degraded.insert("processes_shared".to_owned(), 5);
    session
}

/// State of a page in a browser.
struct Seen(Value);

/// Size of a window, in pixels.
#[derive(Clone, Copy, Debug)]
struct Window {
    width: u32,
    dark: bool,
}

const WINDOWS: [Window; 4] = [
    Window { width: 1280, dark: false },
    Window { width: 1280, dark: true },
    Window { width: 400, dark: false },
    Window { width: 400, dark: true },
];

fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| installed(name))
}

impl Seen {
    fn of(page: &str, window: Window, browser: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (path, profile): (PathBuf, PathBuf) = (dir.path().join("page.html"), dir.path().join("profile"));
        let watched = page.replacen("<head>", &format!("<head><script>{LISTENER}</script>"), 1).replacen(
            "</body>",
            &format!("<script>{PROBE}</script></body>"),
            1,
        );
        assert!(watched.len() > page.len() + PROBE.len());
        fs::write(&path, watched).unwrap();
        // Windows of browsers are no smaller than 500 pixels; frames are.
        let frame = dir.path().join("frame.html");
        fs::write(&frame, FRAME.replace("WIDTH", &window.width.to_string())).unwrap();
        // 0 is dark, 1 is light.
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!window.dark));
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            .args(["--disable-dev-shm-usage", "--virtual-time-budget=5000", "--dump-dom", &scheme])
            .arg("--window-size=1300,1000")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", frame.display()))
            .output()
            .unwrap();
        let dom = String::from_utf8(output.stdout).unwrap();
        let probe = dom.split_once("<pre id=\"probe\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let Some((probe, _)) = probe else {
            panic!("the browser has not run the page: {}", String::from_utf8_lossy(&output.stderr))
        };
        Self(serde_json::from_str(probe).unwrap())
    }

    /// It has drawn, has nothing to complain about, and can be read.
    fn assert_fine(&self, window: Window) {
        let seen = &self.0;
        assert_eq!(seen["problems"], serde_json::json!([]), "{window:?}");
        assert_eq!(seen["dark"], window.dark, "{window:?}");
        assert_eq!(seen["width"], window.width, "{window:?}");
        assert_eq!(seen["scroll"], window.width, "{window:?}: wider than its window: {}", seen["wide"]);
        assert!(seen["contrast"].as_f64().unwrap() > 7.0, "{window:?}: {}", seen["contrast"]);
        assert!(seen["lines"].as_u64().unwrap() >= 4, "{window:?}: no plots");
        assert!(seen["small"].as_f64().unwrap() >= 10.5, "{window:?}: text of {} px", seen["small"]);
        assert_eq!(seen["broken"], serde_json::json!([]), "{window:?}");
    }

    /// The numbers of a table's rows, by the row's key.
    fn rows(&self, section: &str) -> Vec<(String, Vec<Option<f64>>)> {
        let rows = self.0["rows"][section].as_array().unwrap().iter();
        let row = |row: &Value| {
            let numbers = row["numbers"].as_array().unwrap().iter().map(Value::as_f64).collect();
            (row["key"].as_str().unwrap().to_owned(), numbers)
        };
        rows.map(row).collect()
    }
}

/// Holders of futexes: waits that found it so, those of which it is known, all; in the order of the page.
fn holders(truth: &Value) -> Vec<(String, Vec<Option<f64>>)> {
    let mut rows = Vec::new();
    for process in truth["processes"].as_array().unwrap() {
        for futex in process["futex"].as_array().unwrap().iter().filter(|it| !it["mutex"].is_null()) {
            let all = futex["mutex"]["holders"].as_array().unwrap();
            let known: f64 = all.iter().map(|it| it["count"].as_f64().unwrap()).sum();
            for holder in all {
                let op = futex["op"].as_str().unwrap();
                let key = format!("{}/{}/{op}/{}", process["pid"], futex["address"], holder["tid"]);
                let count = holder["count"].as_f64();
                rows.push((key, vec![count, Some(known), futex["wait"]["count"].as_f64()]));
            }
        }
    }
    rows.sort_by(|left, right| right.1[0].partial_cmp(&left.1[0]).unwrap());
    rows
}

#[test]
fn the_page_of_a_session_shows_the_figures_of_its_json_in_every_window() {
    let browser = need!(browser(), "chromium is not installed; `cargo xtask setup` brings it");
    let session = session();
    let truth: Value = serde_json::from_slice(&json::encode(&session).unwrap()).unwrap();
    let findings = report::findings(&session);
    let page = html::session(&session, &findings).unwrap();
    for window in WINDOWS {
        let seen = Seen::of(&page, window, browser);
        seen.assert_fine(window);
        let rows = seen.rows("system-calls");
        let mut calls = 0;
        for process in truth["processes"].as_array().unwrap() {
            let (pid, folded) = (&process["pid"], process["folded"].as_u64().unwrap_or(0));
            let name = text::process(0, process["comm"].as_str().unwrap(), folded);
            let process_key = if *pid == 0 { name } else { pid.to_string() };
            for call in process["syscalls"].as_array().unwrap() {
                let key = format!("{process_key}/{}", call["name"].as_str().unwrap());
                let (_, shown) = rows.iter().find(|(of, _)| *of == key).unwrap();
                let hist = &call["latency"];
                let of = |hist: &str, lean: &str| {
                    call["latency"][hist].as_f64().unwrap() + call["lean"][lean].as_f64().unwrap()
                };
                let total = (of("count", "count") > 0.0).then(|| of("sum", "sum_ns"));
                let off_cpu = ["blocked_ns", "queued_ns"].map(|name| call[name].as_f64().unwrap());
                let has_shares = off_cpu.iter().sum::<f64>() > 0.0;
                let share =
                    |ns: f64| total.filter(|total| *total > 0.0 && has_shares).map(|total| ns / total);
                let mut wanted = vec![call["count"].as_f64(), total];
                wanted.extend(off_cpu.map(share));
                wanted.extend(["mean", "p50", "p90", "p99", "p999", "max"].map(|name| hist[name].as_f64()));
                assert_eq!(*shown, wanted, "{key} {window:?}");
                calls += 1;
            }
        }
        assert_eq!(rows.len(), calls);
        let ledger = seen.rows("ledger");
        for (slot, count) in truth["ledger"]["lost"].as_object().unwrap() {
            assert!(ledger.contains(&(slot.clone(), vec![count.as_f64()])), "{slot} in {ledger:?}");
        }
        let text = seen.0["text"].as_str().unwrap();
        assert!(text.contains(HOSTILE), "names are text");
        assert!(
            text.contains("pulse-trace: 22 processes"),
            "4 of their own, 13 that have ended, 5 that share: {text}"
        );
        assert!(!findings.is_empty() && findings.iter().all(|it| text.contains(it)), "{findings:?}: {text}");
        // Other rows there have names of locks.
        let held: Vec<_> = seen
            .rows("locks")
            .into_iter()
            .filter(|row| row.0.matches('/').count() == 3 && !row.0.contains(' '))
            .collect();
        assert_eq!(held, holders(&truth));
    }
}

/// A process whose threads fight for CPython's lock, which is several futexes, and wait for one of their own.
fn with_interpreter() -> Session {
    let mut session = synthetic::session(7, Shape::default());
    let process = session.processes.values_mut().next().unwrap();
    process.futexes.clear();
    for (address, op, frames) in [
        (0xf0, "WAIT_BITSET", &["pthread_cond_timedwait", "take_gil", "eval"][..]),
        (0x118, "WAIT", &["pthread_mutex_lock", "take_gil", "eval"]),
        (0x148, "WAKE", &[]),
        (0x900, "WAIT", &["sem_wait", "work"]),
    ] {
        let mut stats = FutexStats { count: address, ..FutexStats::default() };
        if !frames.is_empty() {
            (1..address).for_each(|value| stats.wait.record(value * value));
            let frames = frames.iter().map(|frame| (*frame).to_owned()).collect();
            stats.stacks = vec![StackCount { frames, caller: None, cut: None, count: address }];
        }
        process.futexes.insert((LockPlace::Private { address }, address, op.to_owned()), stats);
    }
    session
}

#[test]
fn futexes_that_are_one_lock_are_one_row_as_in_the_report() {
    let browser = need!(browser(), "chromium is not installed; `cargo xtask setup` brings it");
    let session = with_interpreter();
    let (key, process) = session.processes.iter().next().unwrap();
    let window = WINDOWS[0];
    let seen = Seen::of(&html::session(&session, &[]).unwrap(), window, browser);
    seen.assert_fine(window);
    let start = format!("{} 0x", key.pid);
    let rows: Vec<_> = seen.rows("locks").into_iter().filter(|row| row.0.starts_with(&start)).collect();
    let mut report = locks::ranked([(key, process)]);
    report.sort_by_key(|lock| std::cmp::Reverse(lock.wait_ns()));
    let names: Vec<&str> = rows.iter().map(|row| row.0.strip_prefix(&start).unwrap()).collect();
    assert_eq!(names, ["900 WAIT", "f0 WAIT_BITSET, WAIT"]);
    for ((name, shown), lock) in rows.iter().zip(&report) {
        let wait = &lock.sum.wait;
        assert_eq!(shown[..2], [wait.count(), wait.sum].map(|number| Some(number as f64)), "{name}");
        for (shown, share) in shown[2..4].iter().zip([0.5, 0.99]) {
            let wanted = wait.quantile(share).unwrap() as f64;
            assert!((shown.unwrap() - wanted).abs() <= 1.0, "{name}: {shown:?} for {wanted}");
        }
    }
}

#[test]
fn the_page_of_a_comparison_shows_the_figures_of_its_json_in_every_window() {
    let browser = need!(browser(), "chromium is not installed; `cargo xtask setup` brings it");
    let comparison = comparison(5);
    let page = html::page(&serde_json::to_string(&comparison).unwrap(), &[], &[]);
    assert!(page.len() < html::LARGEST);
    for window in WINDOWS {
        let seen = Seen::of(&page, window, browser);
        seen.assert_fine(window);
        let rows = seen.rows("side-by-side");
        assert_eq!(rows.len(), comparison.rows.len());
        for row in &comparison.rows {
            let (_, shown) = rows.iter().find(|(key, _)| *key == row.key).unwrap();
            let wanted: Vec<Option<f64>> = row.cells.iter().flatten().map(|cell| Some(cell.mean)).collect();
            assert_eq!(*shown, wanted, "{} {window:?}", row.key);
        }
        let parts = seen.0["parts"].as_array().unwrap();
        let wanted: Vec<f64> = comparison
            .columns
            .iter()
            .flat_map(|column| &column.anatomy.as_ref().unwrap().parts)
            .map(|part| part.ns)
            .filter(|ns| *ns > 0.0)
            .collect();
        assert_eq!(parts.iter().map(|it| it.as_f64().unwrap()).collect::<Vec<_>>(), wanted);
    }
}

fn tool(arguments: &[&std::ffi::OsStr]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_pulse-trace")).args(arguments).output().unwrap()
}

#[test]
fn a_recording_becomes_a_page_at_one_command_and_no_link_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let shape = Shape::default();
    let mut recorder =
        Recorder::begin(files::create(&at("a.rec")).unwrap(), &synthetic::header(shape)).unwrap();
    synthetic::frames(5, shape).iter().for_each(|frame| recorder.frame(frame).unwrap());
    recorder.finish().unwrap();
    let report = |html: &std::path::Path| {
        tool(&["report".as_ref(), at("a.rec").as_os_str(), "--html".as_ref(), html.as_os_str()])
    };
    let made = report(&at("a.html"));
    assert!(made.status.success() && made.stdout.is_empty() && made.stderr.is_empty(), "{made:?}");
    let wanted = {
        let session = synthetic::session(5, shape);
        html::session(&session, &report::findings(&session)).unwrap()
    };
    assert!(fs::read_to_string(at("a.html")).unwrap() == wanted);

    fs::write(at("precious"), "kept").unwrap();
    std::os::unix::fs::symlink(at("precious"), at("link.html")).unwrap();
    let refused = report(&at("link.html"));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("symbolic link"));
    assert_eq!(fs::read_to_string(at("precious")).unwrap(), "kept");
    let refused = report("-".as_ref());
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}
