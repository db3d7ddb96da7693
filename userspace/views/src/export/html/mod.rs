//! A session or a comparison as one HTML file that needs no network: the page's data are the JSON export itself, and
//! its script draws tables and plots from them.
//!
//! Nothing of the data is ever markup: it stands in a script element of type JSON, in which `<` is spelled out, and the
//! script only makes text nodes of it.

use std::borrow::Cow;

use model::session::Session;

use super::json;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
/// In the order in which they rely on each other.
const SCRIPTS: [&str; 11] = [
    include_str!("text.js"),
    include_str!("dom.js"),
    include_str!("table.js"),
    include_str!("chart.js"),
    include_str!("distributions.js"),
    include_str!("stack.js"),
    include_str!("ledger.js"),
    include_str!("locks.js"),
    include_str!("session.js"),
    include_str!("comparison.js"),
    include_str!("main.js"),
];

/// A page is to be mailed and to open at once: larger ones leave details out, and say so.
pub const LARGEST: usize = 2_000_000;

/// The page of an export: a session's or a comparison's, as its schema tells. Findings, and remarks on data that is not
/// there, stand at its top.
#[must_use]
pub fn page(json: &str, findings: &[String], remarks: &[String]) -> String {
    let list = |texts: &[String]| serde_json::to_string(texts).unwrap_or_else(|_| "[]".to_owned());
    let (findings, remarks) = (list(findings), list(remarks));
    let mut page = String::with_capacity(json.len() + 100_000);
    let mut rest = PAGE;
    while let Some((head, tail)) = rest.split_once("{{") {
        page += head;
        let (name, tail) = tail.split_once("}}").unwrap_or((tail, ""));
        match name {
            "style" => page += STYLE,
            "script" => page.extend(SCRIPTS),
            "findings" => page += &inert(&findings),
            "remarks" => page += &inert(&remarks),
            _ => page += &inert(json),
        }
        rest = tail;
    }
    page + rest
}

/// The page of a session, below its findings. Where it would be too large, threads are left out first, then the
/// processes with the least time in system calls.
///
/// # Errors
/// If the session cannot be written as JSON.
pub fn session(session: &Session, findings: &[String]) -> Result<String, serde_json::Error> {
    let whole = page(&text(session)?, findings, &[]);
    if whole.len() <= LARGEST {
        return Ok(whole);
    }
    let mut less = session.clone();
    less.processes.values_mut().for_each(|process| process.sched_threads.clear());
    less.header.per_thread = false;
    for process in less.processes.values_mut() {
        process.syscalls = process.calls().into_iter().map(|(call, stats)| ((None, call), stats)).collect();
    }
    let threads =
        "Threads are left out: with them, this page would be larger than 2 MB. The JSON export has them.";
    let mut remarks = vec![threads.to_owned()];
    loop {
        let page = page(&text(&less)?, findings, &remarks);
        if page.len() <= LARGEST || less.processes.len() <= 1 {
            return Ok(page);
        }
        let keep = less.processes.len() / 2;
        let mut by_time: Vec<_> = less
            .processes
            .iter()
            .map(|(key, process)| (process.syscalls.values().map(|it| it.total_ns()).sum::<u64>(), *key))
            .collect();
        by_time.sort_unstable();
        for (_, key) in &by_time[..by_time.len() - keep] {
            less.processes.remove(key);
        }
        remarks.truncate(1);
        remarks.push(format!(
            "The {keep} of {} processes with the most time in system calls are shown: with all, this page would be \
             larger than 2 MB. Counts of the whole session, at the top and in the ledger, hold all of them, and so does \
             the JSON export.",
            session.processes.len()
        ));
    }
}

fn text(session: &Session) -> Result<String, serde_json::Error> {
    Ok(String::from_utf8_lossy(&json::encode(session)?).into_owned())
}

/// JSON that cannot end the element that it stands in: `<` occurs in its strings only, and may be spelled out there.
fn inert(json: &str) -> Cow<'_, str> {
    if json.contains('<') { Cow::Owned(json.replace('<', "\\u003c")) } else { Cow::Borrowed(json) }
}

#[cfg(test)]
mod tests;
