//! A holder and a waiter. They talk through pipes: a futex of theirs would be one more in the trace.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    thread,
    time::Duration,
};

use pulse_trace_workloads::contract::now_ns;
use rustix::pipe::pipe;
use serde::Serialize;

use crate::lock::Lock;

/// Final record of one lock.
#[derive(Debug, Serialize)]
pub struct Fought {
    /// Address of the lock.
    pub address: u64,
    /// Number of times that the waiter slept for it.
    pub times: u32,
    /// The thread that had it then.
    pub holder: u32,
    /// The thread that wanted it.
    pub waiter: u32,
    /// Total time that it was kept while the waiter slept for it.
    pub held_ns: u64,
    /// For how long the waiter waited by its own clock, all together.
    pub waited_ns: u64,
}

/// Function by which a waiter takes its lock: three of different names, so that a stack tells which one it was.
pub type Take = fn(&Lock) -> io::Result<()>;

/// The holder's ends of the pipes.
struct Holder {
    held: File,
    done: File,
}

/// Fights for a lock so many times.
pub fn fight(lock: &Lock, times: u32, hold: Duration, number: usize, take: Take) -> io::Result<Fought> {
    let (told, held) = pipe()?;
    let (done, says) = pipe()?;
    let (mut told, mut says) = (File::from(told), File::from(says));
    thread::scope(|scope| {
        let waiter = thread::Builder::new().name(format!("waiter-{number}"));
        let waiter = waiter.spawn_scoped(scope, move || -> io::Result<(u32, u64)> {
            says.write_all(&tid().to_le_bytes())?;
            let mut waited = 0;
            for _ in 0..times {
                told.read_exact(&mut [0])?;
                let before = now_ns();
                take(lock)?;
                waited += now_ns() - before;
                says.write_all(&[0])?;
            }
            Ok((tid(), waited))
        })?;
        let held_ns = Holder { held: held.into(), done: done.into() }.hold(lock, times, hold)?;
        let (waiter, waited_ns) = waiter.join().map_err(|_| io::Error::other("the waiter panicked"))??;
        Ok(Fought { address: lock.address(), times, holder: tid(), waiter, held_ns, waited_ns })
    })
}

impl Holder {
    fn hold(&mut self, lock: &Lock, times: u32, hold: Duration) -> io::Result<u64> {
        let mut waiter = [0; 4];
        self.done.read_exact(&mut waiter)?;
        let waiter = u32::from_le_bytes(waiter);
        let mut held_ns = 0;
        for _ in 0..times {
            let mut outcome = Ok(());
            lock.with(|| outcome = self.keep(waiter, hold).map(|ns| held_ns += ns))?;
            outcome?;
            self.done.read_exact(&mut [0])?;
        }
        Ok(held_ns)
    }

    /// With the lock in hand: lets the waiter want it, and keeps it for so long after it has gone to sleep.
    fn keep(&mut self, waiter: u32, hold: Duration) -> io::Result<u64> {
        self.held.write_all(&[0])?;
        while !sleeps_in_futex(waiter)? {
            thread::sleep(Duration::from_micros(200));
        }
        let before = now_ns();
        thread::sleep(hold);
        Ok(now_ns() - before)
    }
}

/// The running thread's id.
pub fn tid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

fn sleeps_in_futex(tid: u32) -> io::Result<bool> {
    let line = fs::read_to_string(format!("/proc/self/task/{tid}/syscall"))?;
    Ok(line.split(' ').next().and_then(|nr| nr.parse().ok()) == Some(libc::SYS_futex))
}
