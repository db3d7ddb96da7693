//! What a thread waits for, by the call that it is in.

use std::collections::BTreeMap;

use model::{
    frame::{Abi, Call},
    syscalls,
};

use super::Looked;
use crate::{
    edge::{Besides, Edge, UNSEEN},
    files::{self, Open},
    futex::{self, Around},
    stacks::Functions,
    thread::{InCall, Thread},
};

/// Further calls in which a thread without work waits for some.
const FOR_REQUESTS: [&str; 3] = ["io_getevents", "msgrcv", "mq_timedreceive"];
/// `fcntl` waits for a lock with these operations.
const WAITS_FOR_LOCK: [u64; 2] = [7, 38];
/// Threads that are looked at as enders of one wait.
const MOST_ENDERS: usize = 64;
/// `waitid` waits for one process.
const P_PID: u64 = 1;

impl Looked {
    /// What a thread waits for; `None` where it does not wait.
    pub(super) fn edge_of(&self, thread: &Thread) -> Option<Edge> {
        match thread.state {
            't' => {
                let enders = vec![thread.tracer];
                return Some(Edge::known("a tracer", "it lets go", enders, Besides::Anything));
            }
            'T' => return Some(Edge::unknown("a signal", "it is told to go on")),
            'S' | 'D' => {}
            _ => return None,
        }
        let Some(call) = &thread.call else {
            return Some(match thread.state {
                'D' => Edge::unknown("the kernel, outside of calls", "a page is there"),
                _ => Edge::idle(UNSEEN),
            });
        };
        Some(self.of_call(thread, call))
    }

    fn of_call(&self, thread: &Thread, call: &InCall) -> Edge {
        let name =
            syscalls::name(std::env::consts::ARCH, Call::whole(Abi::Native, call.nr as u32)).into_owned();
        let descriptor = call.arguments[0];
        match name.as_str() {
            "futex" => self.of_futex(thread, call),
            "read" | "readv" | "recvfrom" | "recvmsg" | "recvmmsg" => {
                self.of_transfer(thread, &name, descriptor, false)
            }
            "write" | "writev" | "sendto" | "sendmsg" | "sendmmsg" => {
                self.of_transfer(thread, &name, descriptor, true)
            }
            "wait4" => {
                self.of_child(thread, (call.arguments[0] as i32 > 0).then_some(call.arguments[0] as u32))
            }
            "waitid" => {
                self.of_child(thread, (call.arguments[0] == P_PID).then_some(call.arguments[1] as u32))
            }
            "flock" => self.of_lock(thread, descriptor, &name),
            "fcntl" if WAITS_FOR_LOCK.contains(&call.arguments[1]) => self.of_lock(thread, descriptor, &name),
            name if syscalls::waits_for_work(name) || FOR_REQUESTS.contains(&name) => Edge::idle(name),
            _ => Edge::unknown(name, "the call ends"),
        }
    }

    fn of_futex(&self, thread: &Thread, call: &InCall) -> Edge {
        let none: &[String] = &[];
        let Some(memory) = self.memory.get(&thread.pid) else {
            return Edge::unknown(format!("futex {:#x}", call.arguments[0]), "it is woken");
        };
        let around = Around {
            memory,
            functions: self.stacks.get(&thread.tid).map_or(none, Functions::inner),
            own: &|id| self.inner.get(&thread.pid)?.get(&id).copied(),
            any: &|id| self.of_any(thread, id),
        };
        futex::edge(call, &around)
    }

    /// The thread of any process that has this id in the namespace of a thread. Ids of another namespace than ours are
    /// known of threads that were looked at only.
    fn of_any(&self, thread: &Thread, id: u32) -> Option<u32> {
        if thread.inner != thread.tid {
            let namesake = |ids: &BTreeMap<u32, u32>| ids.get(&id).copied().filter(|tid| *tid != id);
            return self.inner.values().find_map(namesake);
        }
        let stat = kernel::target::thread_stat(id)?;
        (!stat.is_kernel_thread() && !stat.is_dead()).then_some(id)
    }

    /// A thread that reads from, or writes to, a descriptor.
    fn of_transfer(&self, thread: &Thread, name: &str, descriptor: u64, writes: bool) -> Edge {
        let until = if writes { "its other end is read" } else { "its other end is written to" };
        match files::open(thread.pid, descriptor) {
            Some(Open::Pipe(pipe)) => match self.files.of_pipe(pipe, !writes) {
                Some(pids) => {
                    // A handler of its own may write to a pipe that it reads.
                    let alone = pids == [thread.pid];
                    let edge = self.of_processes(&format!("pipe {pipe}"), until, pids);
                    let besides = if alone { Besides::Anything } else { edge.besides };
                    Edge { idle_in: (!writes).then(|| name.to_owned()), is_idle: !writes, besides, ..edge }
                }
                None => Edge { is_idle: !writes, ..Edge::unknown(format!("pipe {pipe}"), until) },
            },
            Some(Open::Socket(inode)) => match self.files.of_peer(thread.pid, inode) {
                Some(pids) => {
                    let edge = self.of_processes(&format!("socket {inode}"), until, pids);
                    // Its time limit cannot be seen from outside.
                    let besides = Besides::Anything;
                    Edge { idle_in: Some(name.to_owned()), is_idle: !writes, besides, ..edge }
                }
                None => Edge { is_idle: !writes, ..Edge::unknown(format!("socket in {name}"), until) },
            },
            Some(Open::Other(path)) if path.starts_with("anon_inode:") || path.starts_with("/dev/") => {
                Edge::idle(format!("{name} of {path}"))
            }
            Some(Open::Other(path)) => Edge::unknown(format!("{path} ({name})"), "storage answers"),
            None => Edge::unknown(name, "the call ends"),
        }
    }

    /// A child that is to end: this one, or any.
    fn of_child(&self, thread: &Thread, child: Option<u32>) -> Edge {
        let children = match child {
            Some(pid) => vec![pid],
            None => self.children.get(&thread.pid).cloned().unwrap_or_default(),
        };
        let object = match children[..] {
            [pid] => format!("child {pid}"),
            _ => format!("any of {} children", children.len()),
        };
        let edge = self.of_processes(&object, "it ends", children);
        // A tracer is told of stops, too.
        let traces =
            self.threads.values().any(|other| other.tracer == thread.tid || other.tracer == thread.pid);
        let besides = if traces { Besides::Anything } else { edge.besides };
        Edge { idle_in: Some("wait".to_owned()), is_idle: true, besides, ..edge }
    }

    fn of_lock(&self, thread: &Thread, descriptor: u64, name: &str) -> Edge {
        let file = match files::open(thread.pid, descriptor) {
            Some(Open::Other(path)) => path,
            _ => "a file".to_owned(),
        };
        match self.files.of_lock(thread.pid, descriptor) {
            Some((holder, kind)) => {
                self.of_processes(&format!("{kind} lock on {file}"), "it is let go", vec![holder])
            }
            None => Edge::unknown(format!("lock on {file} ({name})"), "it is let go"),
        }
    }

    /// Any thread of these processes may end it. Of very many, some are named.
    fn of_processes(&self, object: &str, until: &'static str, pids: Vec<u32>) -> Edge {
        let mut enders: Vec<u32> = pids.into_iter().flat_map(kernel::target::threads).collect();
        let besides = match enders.len() {
            1..=MOST_ENDERS => Besides::Unseen,
            _ => Besides::Anything,
        };
        enders.truncate(MOST_ENDERS);
        Edge::known(object, until, enders, besides)
    }
}
