//! Collapsed stacks, one line each, as flame graphs are made from: `lock;outermost;...;innermost count`.

use model::{
    locks::{self, LockPlace, StackCount},
    session::Session,
    text::printable,
};

/// The sampled stacks of every lock, and of events of each kind.
///
/// The first part of a line names the lock, or process and kind of the events. Stacks of waits in the kernel stand under
/// the lock's plain name, or under `NAME (waiting)` or `NAME (idle)` where they were for work or look like it; those that
/// probes in the library took stand under `NAME (contended)`: two ways of sampling, whose counts have nothing to do with
/// each other.
#[must_use]
pub fn folded(session: &Session) -> String {
    let mut text = String::new();
    for lock in locks::ranked(&session.processes) {
        let mark =
            if lock.verdict.is_for_work() { format!(" ({})", lock.verdict.name()) } else { String::new() };
        let root = format!("{}{mark}", root(&lock.place, lock.users.first().map(|user| user.0)));
        lock.sum.stacks.iter().for_each(|stack| text += &line(&root, stack));
    }
    for mutex in locks::ranked_mutexes(&session.processes) {
        let root = format!("{} (contended)", root(&mutex.place, mutex.users.first().map(|user| user.0)));
        mutex.seen.stats.stacks.iter().for_each(|stack| text += &line(&root, stack));
    }
    for (key, process) in &session.processes {
        for ((event, _), stats) in &process.events {
            let root = format!("{} {}: {}", key.pid, event.probe, event.kind);
            stats.stacks.iter().for_each(|stack| text += &line(&root, stack));
        }
    }
    text
}

/// Equal addresses of two processes are two locks.
fn root(place: &LockPlace, pid: Option<u32>) -> String {
    match (place, pid) {
        (LockPlace::Private { .. } | LockPlace::Unresolved { .. }, Some(pid)) => {
            format!("{pid} {}", place.name())
        }
        _ => place.name(),
    }
}

fn line(root: &str, stack: &StackCount) -> String {
    if stack.count == 0 {
        return String::new();
    }
    let cut = stack.cut.as_ref().map(|cut| format!("[cut: {cut}]"));
    let frames = stack.frames.iter().rev().cloned();
    let parts = [root.to_owned()].into_iter().chain(cut).chain(frames).map(|part| harmless(&part));
    format!("{} {}\n", parts.collect::<Vec<_>>().join(";"), stack.count)
}

/// Without what would end a frame or a line.
fn harmless(part: &str) -> String {
    printable(part).replace(';', ":")
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    #[test]
    fn lines_lead_from_the_lock_to_the_innermost_function() {
        let stack = StackCount {
            frames: vec!["lock;wait".to_owned(), "push\n".to_owned(), "main".to_owned()],
            caller: None,
            cut: Some("no frame pointer".to_owned()),
            count: 7,
        };
        let text = line("shm /q +0", &stack);
        assert_eq!(text, "shm /q +0;[cut: no frame pointer];main;push\\n;lock:wait 7\n");
        assert_eq!(line("x", &StackCount { count: 0, ..stack }), "");
    }

    #[test]
    fn every_sample_is_there_once() {
        let session = synthetic::session(3, Shape { processes: 4, ..Shape::default() });
        let text = folded(&session);
        let counted: u64 =
            text.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
        let futexes = session.processes.values().flat_map(|it| it.futexes.values()).flat_map(|it| &it.stacks);
        let mutexes = session.processes.values().flat_map(|it| it.mutexes.values());
        let mutexes = mutexes.flat_map(|it| &it.stats.stacks);
        assert_eq!(counted, futexes.chain(mutexes).map(|stack| stack.count).sum::<u64>());
        assert!(
            text.lines().any(|line| line.starts_with("1000 0x7f3a00002080 (waiting);start_thread;")),
            "{text}"
        );
        assert!(text.lines().any(|line| line.starts_with("shm /q +0;main;producer;enqueue+0x2a;")), "{text}");
        assert!(!text.contains('\x1b'));
    }
}
