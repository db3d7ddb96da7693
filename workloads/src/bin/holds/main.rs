//! `holds`: fights for three locks, each a known number of times and for a known time, while another thread waits for a
//! condition. What a tracer of locks says is held against its truth.

mod args;
mod lock;
mod pair;

use std::{io, process::ExitCode, thread};

use anyhow::Context as _;
use clap::Parser as _;
use pulse_trace_workloads::contract::{self, Handshake, Truth, print};
use serde::Serialize;

use args::Args;
use lock::{End, Lock};
use pair::{Fought, Take, fight, tid};

/// The truth that is printed at the end.
#[derive(Debug, Serialize)]
struct Detail {
    pid: u32,
    /// The locks in the order of the command line.
    locks: Vec<Fought>,
    /// The thread that waited for the condition.
    idle: u32,
}

const TAKES: [Take; 3] = [take_first, take_second, take_third];

#[inline(never)]
fn take_first(lock: &Lock) -> io::Result<()> {
    lock.with(|| {})
}

#[inline(never)]
fn take_second(lock: &Lock) -> io::Result<()> {
    // Another body, or the compiler would make one function of them.
    let mut second = 0;
    lock.with(|| second = std::hint::black_box(2))?;
    std::hint::black_box(second);
    Ok(())
}

#[inline(never)]
fn take_third(lock: &Lock) -> io::Result<()> {
    let mut third = 0;
    lock.with(|| third = std::hint::black_box(3))?;
    std::hint::black_box(third);
    Ok(())
}

fn main() -> ExitCode {
    let args = Args::parse();
    contract::main(|| run(&args))
}

fn run(args: &Args) -> anyhow::Result<bool> {
    let locks: io::Result<Vec<Lock>> = TAKES.iter().map(|_| Lock::new(args.lock)).collect();
    let locks = locks.context("cannot make the locks; this C library does not have that kind")?;
    let end = End::new(args.lock);
    Handshake::new(&args.common)?.ready_then_go()?;
    let (fought, idle) = thread::scope(|scope| -> anyhow::Result<_> {
        let idle = scope.spawn(|| {
            end.wait();
            tid()
        });
        let outcome = fight_all(args, &locks);
        end.come();
        let idle =
            idle.join().map_err(|_| anyhow::anyhow!("cannot wait for the idle thread: it panicked"))?;
        Ok((outcome?, idle))
    })?;
    say(args, fought, idle)
}

/// All three at the same time.
fn fight_all(args: &Args, locks: &[Lock]) -> anyhow::Result<Vec<Fought>> {
    thread::scope(|scope| {
        let mut pairs = Vec::new();
        for (number, (lock, take)) in locks.iter().zip(TAKES).enumerate() {
            let (times, hold) = args.plan(number).with_context(|| {
                format!(
                    "cannot fight for lock {number}: --times or --hold-ms says nothing about it; name three"
                )
            })?;
            let holder = thread::Builder::new().name(format!("holder-{number}"));
            pairs.push(holder.spawn_scoped(scope, move || fight(lock, times, hold, number, take))?);
        }
        let ended = pairs.into_iter().map(|pair| {
            pair.join()
                .map_err(|_| anyhow::anyhow!("cannot wait for a holder: it panicked"))?
                .map_err(Into::into)
        });
        ended.collect()
    })
}

fn say(args: &Args, locks: Vec<Fought>, idle: u32) -> anyhow::Result<bool> {
    let holds = locks.iter().all(|lock| lock.waited_ns >= lock.held_ns);
    if args.common.json {
        let detail = Detail { pid: std::process::id(), locks, idle };
        print(&Truth::new("holds", format!("{:?}", args.lock).to_lowercase(), holds, detail))?;
        return Ok(holds);
    }
    use std::io::Write as _;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:>18} {:>6} {:>9} {:>9} {:>12} {:>12}",
        "lock", "times", "holder", "waiter", "held ms", "waited ms"
    )?;
    for lock in &locks {
        let ms = |ns: u64| ns as f64 / 1e6;
        let Fought { address, times, holder, waiter, held_ns, waited_ns } = lock;
        let (held, waited) = (ms(*held_ns), ms(*waited_ns));
        writeln!(out, "{address:#18x} {times:>6} {holder:>9} {waiter:>9} {held:>12.1} {waited:>12.1}")?;
    }
    Ok(holds)
}
