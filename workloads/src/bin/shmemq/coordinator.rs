//! A run from the shell: all cells, round after round, and the truth at the end.

use std::io::{self, Write};

use pulse_trace_workloads::contract::{Handshake, Progress, Refusal, Truth, print, stopping};
use pulse_trace_workloads::sys::pthread::c_library;

use crate::args::Args;
use crate::cell::{Cell, sweep};
use crate::memory::Memory;
use crate::mutex::Mutex;
use crate::pair::Pair;
use crate::table;
use crate::truth::{CellTruth, Detail};

/// Runs everything; answers whether the truth holds.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    let mut handshake = Handshake::new(&args.common)?;
    let cells = sweep(args);
    if !args.common.json {
        io::stdout().lock().write_all(args.placement().as_bytes())?;
    }
    let mut truths = Vec::new();
    let mut failure = None;
    let total = cells.len() as u64 * u64::from(args.common.rounds);
    let runs = (0..args.common.rounds).flat_map(|round| cells.iter().map(move |cell| (round, cell)));
    for (done, (round, cell)) in runs.enumerate() {
        if stopping() || failure.is_some() {
            break;
        }
        let place = Place { round, nth: done as u64 + 1, total };
        let (truth, failed) = match one(args, cell, place, &mut handshake) {
            // What was done before is not thrown away because of what cannot be done now.
            Err(refusal) if !truths.is_empty() => (None, Some(refusal.into())),
            outcome => outcome?,
        };
        failure = failed;
        if let (Some(truth), false) = (&truth, args.common.json) {
            io::stdout().lock().write_all(table::paragraph(truth).as_bytes())?;
        }
        truths.extend(truth);
    }
    let holds = failure.is_none() && truths.iter().all(|truth| truth.faults.is_empty());
    report(args, truths, holds)?;
    failure.map_or(Ok(holds), Err)
}

/// Position of a run in the sweep.
struct Place {
    round: u32,
    nth: u64,
    total: u64,
}

fn one(
    args: &Args,
    cell: &Cell,
    place: Place,
    handshake: &mut Handshake,
) -> Result<(Option<CellTruth>, Option<anyhow::Error>), Refusal> {
    let mut plan = cell.plan(args);
    let to_server = Memory::new(plan.mutex, plan.geometry)?;
    let to_client = Memory::new(plan.mutex, plan.geometry)?;
    (plan.to_server, plan.to_client) = (to_server.path(), to_client.path());
    let mut progress = Progress::new();
    let what =
        format!("run {} of {}, {} with {} bytes", place.nth, place.total, cell.mutex.name(), cell.size);
    let mut tick = || {
        if progress.is_visible() {
            // The warm-up counts as part of the way.
            progress.show(&what, to_server.passed().min(cell.repetitions), cell.repetitions);
        }
    };
    let mut outcome = Pair::start(&plan, args)?.play(handshake, &mut tick);
    // Clears its line, before anything else is printed.
    drop(progress);
    let failure = outcome.failure.take();
    // Without a word from either side there is no truth to tell.
    let told = outcome.server.is_some() || outcome.client.is_some();
    Ok((told.then(|| CellTruth::new(*cell, &plan, place.round, outcome, stopping())), failure))
}

/// Prints the truth, or the table that closes the paragraphs.
pub fn report(args: &Args, cells: Vec<CellTruth>, holds: bool) -> io::Result<()> {
    if !args.common.json {
        if cells.len() > 1 {
            io::stdout().lock().write_all(table::comparison(&cells).as_bytes())?;
        }
        return Ok(());
    }
    let mut kinds: Vec<&str> = Vec::new();
    for name in cells.iter().map(|truth| Mutex::name(truth.cell.mutex)) {
        if !kinds.contains(&name) {
            kinds.push(name);
        }
    }
    let variant = kinds.join(",");
    let pin = args.common.pin.as_ref().map(ToString::to_string);
    print(&Truth::new("shmemq", variant, holds, Detail { c_library: c_library(), pin, cells }))
}
