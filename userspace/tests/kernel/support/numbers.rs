//! Numbers of a session, compared with what is true.

use std::{borrow::Cow, collections::BTreeMap};

use model::{
    errno,
    frame::{Call, CallStats, Ledger},
    session::Session,
    syscalls,
};

use super::{Truth, hidden};

/// The numbers of every call by name, all operations and processes together.
pub fn counts(session: &Session) -> BTreeMap<String, CallStats> {
    counted_by(session, syscalls::whole_name)
}

/// The same with operations apart.
pub fn operations(session: &Session) -> BTreeMap<String, CallStats> {
    counted_by(session, syscalls::name)
}

fn counted_by(session: &Session, name: fn(&str, Call) -> Cow<'static, str>) -> BTreeMap<String, CallStats> {
    let mut all: BTreeMap<String, CallStats> = BTreeMap::new();
    for (call, stats) in session.processes.values().flat_map(|process| process.calls()) {
        all.entry(name(&session.header.arch, call).into_owned()).or_default().merge(&stats);
    }
    all
}

/// Fails unless the session has seen exactly what the program did: every count, every latency, every error.
pub fn assert_true(session: &Session, truth: &Truth) {
    let counts = counts(session);
    let none = CallStats::default();
    for (name, made) in &truth.calls {
        let seen = counts.get(name).unwrap_or(&none);
        assert_eq!(seen.count(), *made, "{name}; {:?}", session.ledger);
        assert_eq!(seen.latency.count() + seen.lean.count, *made, "latencies of {name}");
        let errors: BTreeMap<String, u64> =
            seen.errors.iter().map(|(number, count)| (errno::name(*number).into_owned(), *count)).collect();
        assert_eq!(errors, truth.errors.get(name).cloned().unwrap_or_default(), "errors of {name}");
    }
}

/// True if nothing was lost and no detail is missing, but for switches and wakeups that threads hid which are proven to
/// be hidden by a hypervisor.
pub fn whole(ledger: &Ledger) -> bool {
    nothing_missing(&ledger.lost, &ledger.degraded)
}

/// The same of a ledger as it is exported.
pub fn nothing_missing(lost: &BTreeMap<String, u64>, degraded: &BTreeMap<String, u64>) -> bool {
    let unseen = ["switch_unseen", "wakeup_unseen"];
    let others = degraded.iter().filter(|(name, _)| !unseen.contains(&name.as_str()));
    let [switches, wakeups] = unseen.map(|name| degraded.get(name).copied().unwrap_or(0));
    lost.values().chain(others.map(|(_, count)| count)).all(|count| *count == 0)
        && (switches + wakeups == 0 || hidden::explain(switches, wakeups))
}

/// Every call that the ledger knows of: `counted + lost + censored`.
pub fn entries(ledger: &Ledger) -> u64 {
    ledger.counted + ledger.lost.values().sum::<u64>() + ledger.censored.values().sum::<u64>()
}

/// The smallest value of a list that at least this share of all values does not exceed.
pub fn quantile(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[((share * sorted.len() as f64).ceil() as usize).max(1) - 1]
}
