//! `--role`: the two sides in two terminals (or containers that share a network namespace), each started by hand. The
//! server decides what is done and owns the memory; each side prints its own truth.

use std::cell::RefCell;
use std::io::{self, Write};

use pulse_trace_workloads::contract::{Handshake, Refusal, cannot, stopping};

use crate::args::Args;
use crate::cell::{Cell, sweep};
use crate::coordinator::report;
use crate::link::{Link, Word, peer_has_gone};
use crate::memory::Memory;
use crate::pair::Outcome;
use crate::plan::{Plan, Role};
use crate::report::Report;
use crate::table;
use crate::truth::CellTruth;
use crate::worker::play;

/// Plays one side; answers whether its truth holds.
pub fn run(args: &Args, role: Role, name: &str) -> anyhow::Result<bool> {
    if !args.spin_tunable.is_empty() {
        let remedy = "start both sides with GLIBC_TUNABLES=glibc.pthread.mutex_spin_count=N";
        return Err(
            cannot("set the spin limit", "the C library reads it before the program starts", remedy).into()
        );
    }
    let mut handshake = Handshake::new(&args.common)?;
    if let Some(cpus) = &args.common.pin {
        cpus.pin(usize::from(role == Role::Client))?;
    }
    let mut truths = Vec::new();
    let played = match role {
        Role::Server => serve(args, Link::offer(name, args.timeout)?, &mut handshake, &mut truths),
        Role::Client => follow(args, Link::find(name)?, &mut handshake, &mut truths),
    };
    let holds = played.is_ok() && truths.iter().all(|truth| truth.faults.is_empty());
    report(args, truths, holds)?;
    played?;
    Ok(holds)
}

fn serve(
    args: &Args,
    link: Link,
    handshake: &mut Handshake,
    truths: &mut Vec<CellTruth>,
) -> anyhow::Result<()> {
    let link = RefCell::new(link);
    for round in 0..args.common.rounds {
        for cell in sweep(args) {
            let mut plan = cell.plan(args);
            let to_server = Memory::new(plan.mutex, plan.geometry)?;
            let to_client = Memory::new(plan.mutex, plan.geometry)?;
            (plan.to_server, plan.to_client) = (to_server.path(), to_client.path());
            link.borrow_mut().tell(&Word::Plan(Box::new(plan.clone())))?;
            let report = one(&plan, Role::Server, &link, handshake)?;
            let Some(report) = report else { return Ok(()) };
            keep(args, truths, &cell, &plan, round, report)?;
        }
    }
    Ok(())
}

fn follow(
    args: &Args,
    link: Link,
    handshake: &mut Handshake,
    truths: &mut Vec<CellTruth>,
) -> anyhow::Result<()> {
    let link = RefCell::new(link);
    loop {
        let word = link.borrow_mut().hear();
        let Some(Word::Plan(plan)) = word else { return Ok(()) };
        let cell = Cell {
            mutex: plan.mutex,
            size: plan.geometry.size as u64,
            repetitions: plan.repetitions,
            spin_tunable: plan.spin_tunable,
        };
        let round = truths.iter().filter(|truth| truth.cell == cell).count() as u32;
        let Some(report) = one(&plan, Role::Client, &link, handshake)? else { return Ok(()) };
        keep(args, truths, &cell, &plan, round, report)?;
    }
}

/// One plan, from the warm-up to the moment when both sides are done with it.
fn one(
    plan: &Plan,
    role: Role,
    link: &RefCell<Link>,
    handshake: &mut Handshake,
) -> Result<Option<Report>, Refusal> {
    let mut start = || {
        if !handshake.ready_then_go()? {
            return Ok(false);
        }
        link.borrow_mut().tell(&Word::Ready)?;
        Ok(matches!(link.borrow_mut().hear(), Some(Word::Ready)))
    };
    let report = Link::watched(|| play(plan, role, &mut start))?;
    if peer_has_gone() {
        let done = report.map_or(0, |report| report.completed);
        return Err(cannot(
            "finish the ping-pong",
            format_args!("the {} has gone after {done} round trips", role.other().name()),
            "run both sides again",
        ));
    }
    if report.is_some() && !stopping() {
        link.borrow_mut().tell(&Word::Done)?;
        while !matches!(link.borrow_mut().hear(), Some(Word::Done) | None) {}
    }
    Ok(report)
}

fn keep(
    args: &Args,
    truths: &mut Vec<CellTruth>,
    cell: &Cell,
    plan: &Plan,
    round: u32,
    report: Report,
) -> io::Result<()> {
    let mut outcome = Outcome::default();
    match report.role {
        Role::Server => outcome.server = Some(report),
        Role::Client => outcome.client = Some(report),
    }
    let truth = CellTruth::new(*cell, plan, round, outcome, stopping());
    if !args.common.json {
        io::stdout().lock().write_all(table::paragraph(&truth).as_bytes())?;
    }
    truths.push(truth);
    Ok(())
}
