//! Parts of the mean end-to-end time of a message.
//!
//! The program cuts each message's time into stages without gap or overlap; the trace says what threads did in them. So
//! the parts add up by construction of the stages, and what is apportioned is the inside of a stage: the blocked share
//! of the calls that send, the wait for a CPU after being woken, and the share of a busy process's time in which it was
//! preempted.

use std::collections::HashSet;

use serde_json::Value;
use views::{
    compare::{Measure, anatomy_measures},
    export::json::{Export, Process},
};

use super::truth::number;

/// Calls that send, or wait for room.
const SENDS: [&str; 3] = ["write", "mq_timedsend", "futex"];

/// Time of the threads of some processes, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Did {
    ran: f64,
    preempted: f64,
    /// Blocked in calls that send, and the whole of those calls.
    blocked_sending: f64,
    sending: f64,
    /// Blocked on futexes.
    blocked_on_locks: f64,
    /// From being woken to running.
    woken: f64,
}

/// The parts; nothing where the program did not note stages, or the scheduler was not followed.
pub fn measures(truth: &Value, export: &Export) -> Vec<Measure> {
    let pids = |pointer: &str, of: fn(&Value) -> Option<u64>| -> HashSet<u64> {
        truth.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(of).collect()
    };
    let senders = pids("/processes", |process| process["pid"].as_u64());
    let receivers = pids("/aggregators", Value::as_u64);
    let (Some(sender), Some(receiver)) = (did(export, &senders), did(export, &receivers)) else {
        return Vec::new();
    };
    let stage = |name: &str| number(truth, &format!("/stages/{name}_ns"));
    let messages = number(truth, "/stages/messages").filter(|messages| *messages > 0.0);
    let woken = stage("woken").unwrap_or_default();
    let all = (stage("composing"), stage("sending"), stage("waiting"), stage("receiving"), stage("between"));
    let (Some(messages), (Some(composing), Some(sending), Some(waiting), Some(receiving), Some(between))) =
        (messages, all)
    else {
        return Vec::new();
    };
    let stages = Stages { composing, sending, waiting, receiving, between, woken };
    anatomy_measures(parts(stages, sender, receiver).map(|ns| ns / messages))
}

#[derive(Clone, Copy)]
struct Stages {
    composing: f64,
    sending: f64,
    waiting: f64,
    receiving: f64,
    between: f64,
    /// The waiting, each wakeup once, however many messages it was for.
    woken: f64,
}

/// Sender call, blocked, run queue, receiver call, user code.
fn parts(stages: Stages, sender: Did, receiver: Did) -> [f64; 5] {
    let Stages { composing, sending, waiting, receiving, between, woken } = stages;
    let blocked_sending = sending * share(sender.blocked_sending, sender.sending);
    let sender_waits = share(sender.preempted, sender.ran + sender.preempted);
    let sending = sending - blocked_sending;
    // What a receiver that was woken did until its call returned: it waited for a CPU, and then left the kernel.
    let queued = waiting * share(receiver.woken, woken);
    let receiving = waiting - queued + receiving;
    let receiver_waits = share(receiver.preempted, receiver.ran + receiver.preempted);
    let busy = receiver.ran + receiver.preempted + receiver.blocked_on_locks;
    let blocked_between = between * share(receiver.blocked_on_locks, busy);
    let between = between - blocked_between;
    let run_queue = sender_waits * (composing + sending) + queued + receiver_waits * (receiving + between);
    [
        sending * (1.0 - sender_waits),
        blocked_sending + blocked_between,
        run_queue,
        receiving * (1.0 - receiver_waits),
        composing * (1.0 - sender_waits) + between * (1.0 - receiver_waits),
    ]
}

/// A part of a whole, from nothing to all of it.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 }
}

/// Nothing where one of the processes was not seen, or not followed by the scheduler's probe.
fn did(export: &Export, pids: &HashSet<u64>) -> Option<Did> {
    let found: Vec<&Process> =
        export.processes.iter().filter(|process| pids.contains(&u64::from(process.pid))).collect();
    if found.is_empty() || found.len() != pids.len() {
        return None;
    }
    let mut did = Did::default();
    for process in found {
        let sched = process.sched.as_ref()?;
        did.ran += (sched.budget.user_ns + sched.budget.faults_ns + sched.budget.kernel_ns) as f64;
        did.preempted += sched.budget.run_queue_ns.preempted as f64;
        did.woken += sched.wakeup_to_run.sum as f64;
        for place in &sched.budget.blocked {
            did.blocked_sending += if SENDS.contains(&place.place.as_str()) { place.ns as f64 } else { 0.0 };
            did.blocked_on_locks += if place.place == "futex" { place.ns as f64 } else { 0.0 };
        }
        let calls = process.syscalls.iter().filter(|call| SENDS.contains(&call.whole()));
        did.sending += calls.map(|call| (call.latency.sum + call.lean.sum_ns) as f64).sum::<f64>();
    }
    Some(did)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: Stages = Stages {
        composing: 10.0,
        sending: 200.0,
        waiting: 50.0,
        receiving: 30.0,
        between: 110.0,
        woken: 25.0,
    };

    #[test]
    fn the_parts_add_up_for_any_activity_of_the_processes() {
        let quiet = Did::default();
        let busy = Did {
            ran: 300.0,
            preempted: 100.0,
            blocked_sending: 50.0,
            sending: 100.0,
            blocked_on_locks: 400.0,
            woken: 20.0,
        };
        for (sender, receiver) in [(quiet, quiet), (busy, quiet), (quiet, busy), (busy, busy)] {
            let sum: f64 = parts(STAGES, sender, receiver).iter().sum();
            assert!((sum - 400.0).abs() < 1e-9, "{sum}");
        }
        assert_eq!(parts(STAGES, quiet, quiet), [200.0, 0.0, 0.0, 80.0, 120.0]);
        let [sender_call, blocked, run_queue, receiver_call, user] = parts(STAGES, busy, busy);
        assert_eq!((sender_call, blocked), (75.0, 100.0 + 55.0));
        // Four fifths of the waiting were for a CPU.
        assert_eq!((receiver_call, user), (0.75 * (10.0 + 30.0), 7.5 + 41.25));
        assert_eq!(run_queue, 400.0 - 75.0 - 155.0 - 30.0 - 48.75);
    }

    #[test]
    fn a_wait_for_a_cpu_is_never_longer_than_the_wait() {
        let waiting = Stages { composing: 0.0, sending: 0.0, receiving: 0.0, between: 0.0, ..STAGES };
        let woken = Did { woken: 1e9, ..Did::default() };
        assert_eq!(parts(waiting, Did::default(), woken), [0.0, 0.0, 50.0, 0.0, 0.0]);
    }
}
