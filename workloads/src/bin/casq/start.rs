//! The producer processes of one round: started, watched, collected, and never left behind.

use std::cell::RefCell;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pulse_trace_workloads::contract::{cannot, stopping};

use crate::board::{Board, Progress};
use crate::produce::Produced;
use crate::worker::Job;

/// The processes; killed when dropped before they were collected.
#[derive(Debug, Default)]
pub struct Team(RefCell<Vec<Child>>);

impl Team {
    pub fn start(jobs: &[Job]) -> Result<Self> {
        let team = Self::default();
        let program = own_program();
        for job in jobs {
            let child = Command::new(&program)
                .arg("worker")
                .arg(serde_json::to_string(job)?)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| {
                    cannot(format_args!("start producer {}", job.plan.id), error, "allow more processes")
                })?;
            team.0.borrow_mut().push(child);
        }
        Ok(team)
    }

    pub fn alive(&self, id: u32) -> bool {
        // An error means that it was reaped already.
        self.0.borrow_mut().get_mut(id as usize).is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The reports in the order of ids; none for a producer that died of a signal.
    pub fn collect(self) -> Result<Vec<Option<Produced>>> {
        let mut reports = Vec::new();
        for (id, child) in self.0.borrow_mut().iter_mut().enumerate() {
            let mut text = String::new();
            if let Some(mut out) = child.stdout.take() {
                out.read_to_string(&mut text)?;
            }
            let status = child.wait()?;
            reports.push(match status.code() {
                Some(0) => Some(
                    serde_json::from_str(&text)
                        .with_context(|| format!("cannot read the report of producer {id}"))?,
                ),
                Some(code) => {
                    let cause = format!("it ended with status {code}");
                    Err(cannot(format_args!("run producer {id}"), cause, "its own message stands above"))?
                }
                None => None,
            });
        }
        Ok(reports)
    }
}

/// This program's file, under its name, which is what tracers show; if it was replaced meanwhile, the file itself.
fn own_program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

impl Drop for Team {
    fn drop(&mut self) {
        for child in self.0.borrow_mut().iter_mut() {
            // Both fail for one that was collected.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until every producer says that it is set up; false when a stop was asked for.
pub fn await_ready(
    board: &Board,
    producers: u32,
    alive: &dyn Fn(u32) -> bool,
    patience: Duration,
) -> Result<bool> {
    let until = Instant::now() + patience;
    for id in 0..producers {
        while board.progress(id) < Progress::Ready {
            if stopping() {
                return Ok(false);
            }
            let fault = if !alive(id) { "it ended before it was ready" } else { "it is not ready in time" };
            if !alive(id) || Instant::now() > until {
                Err(cannot(
                    format_args!("start producer {id}"),
                    fault,
                    "see its message above, or raise --patience",
                ))?;
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(true)
}
