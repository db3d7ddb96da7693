//! What a thread waits for, by the call that it is in.

use model::{
    frame::{Abi, Call},
    syscalls,
};

use super::Looked;
use crate::{
    edge::{Certainty, Edge, UNSEEN},
    files::{self, Open},
    futex::{self, Around},
    thread::{InCall, Thread},
};

/// Calls in which a thread without work waits for some.
const IDLE: [&str; 19] = [
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "nanosleep",
    "clock_nanosleep",
    "pause",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "accept",
    "accept4",
    "restart_syscall",
    "io_uring_enter",
    "io_getevents",
    "msgrcv",
    "mq_timedreceive",
];

/// `fcntl` waits for a lock with these operations.
const WAITS_FOR_LOCK: [u64; 2] = [7, 38];
/// `waitid` waits for one process.
const P_PID: u64 = 1;

impl Looked {
    /// What a thread waits for; `None` where it does not wait.
    pub(super) fn edge_of(&self, thread: &Thread) -> Option<Edge> {
        match thread.state {
            't' => {
                return Some(self.of_processes(
                    "a tracer",
                    "it lets go",
                    vec![thread.tracer],
                    Certainty::Known,
                ));
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
            name if IDLE.contains(&name) => Edge::idle(name),
            _ => Edge::unknown(name, "the call ends"),
        }
    }

    fn of_futex(&self, thread: &Thread, call: &InCall) -> Edge {
        let none = Vec::new();
        let Some(memory) = self.memory.get(&thread.pid) else {
            return Edge::unknown(format!("futex {:#x}", call.arguments[0]), "it is woken");
        };
        let around = Around {
            memory,
            functions: self.stacks.get(&thread.tid).map_or(&none, |functions| &functions.all),
            lives: &|tid| std::fs::exists(format!("/proc/{tid}/comm")).unwrap_or(false),
            is_own: &|tid| std::fs::exists(format!("/proc/{}/task/{tid}", thread.pid)).unwrap_or(false),
        };
        futex::edge(call, &around)
    }

    /// A thread that reads from, or writes to, a descriptor.
    fn of_transfer(&self, thread: &Thread, name: &str, descriptor: u64, writes: bool) -> Edge {
        let until = if writes { "its other end is read" } else { "its other end is written to" };
        match files::open(thread.pid, descriptor) {
            Some(Open::Pipe(pipe)) => match self.files.of_pipe(pipe, !writes) {
                Some(pids) => {
                    let edge = self.of_processes(&format!("pipe {}", pipe.1), until, pids, Certainty::Known);
                    Edge { idle_in: (!writes).then(|| name.to_owned()), is_idle: !writes, ..edge }
                }
                None => Edge { is_idle: !writes, ..Edge::unknown(format!("pipe {}", pipe.1), until) },
            },
            Some(Open::Socket(inode)) => match self.files.of_peer(thread.pid, inode) {
                Some(pids) => {
                    let edge = self.of_processes(&format!("socket {inode}"), until, pids, Certainty::Known);
                    Edge { idle_in: Some(name.to_owned()), is_idle: !writes, ..edge }
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
        let edge = self.of_processes(&object, "it ends", children, Certainty::Known);
        Edge { idle_in: Some("wait".to_owned()), is_idle: true, ..edge }
    }

    fn of_lock(&self, thread: &Thread, descriptor: u64, name: &str) -> Edge {
        let file = match files::open(thread.pid, descriptor) {
            Some(Open::Other(path)) => path,
            _ => "a file".to_owned(),
        };
        match self.files.of_lock(thread.pid) {
            Some((holder, kind)) => self.of_processes(
                &format!("{kind} lock on {file}"),
                "it is let go",
                vec![holder],
                Certainty::Known,
            ),
            None => Edge::unknown(format!("lock on {file} ({name})"), "it is let go"),
        }
    }

    /// Any thread of these processes may end it.
    fn of_processes(&self, object: &str, until: &'static str, pids: Vec<u32>, certainty: Certainty) -> Edge {
        let enders: Vec<u32> = pids.into_iter().flat_map(kernel::target::threads).collect();
        let ends_otherwise = enders.is_empty();
        Edge {
            object: object.to_owned(),
            until,
            enders,
            certainty,
            ends_otherwise,
            is_idle: false,
            idle_in: None,
        }
    }
}
