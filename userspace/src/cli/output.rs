//! Where a session's numbers go.

use super::{failure::Failure, options::TraceOptions};
use crate::{
    model::{
        frame::Frame,
        session::{Header, Session},
    },
    session::Sink,
};

/// The sinks of one session.
pub struct Outputs {
    session: Session,
}

impl Outputs {
    /// Creates all files, before anything else is done.
    pub fn create(_options: &TraceOptions) -> Result<Self, Failure> {
        Ok(Self { session: Session::default() })
    }

    /// Notes what is known at the start.
    pub fn begin(&mut self, header: Header) -> Result<(), Failure> {
        self.session = Session::new(header);
        Ok(())
    }

    /// Writes what is written at the end.
    pub fn finish(mut self, _options: &TraceOptions, _interrupted: bool) -> Result<(), Failure> {
        self.session.finished = true;
        for (key, process) in &self.session.processes {
            eprintln!("{key:?} {} threads {} exit {:?}", process.comm, process.threads, process.exit);
            for ((t, call), stats) in &process.syscalls {
                eprintln!(
                    "  {t:?} {} count {} unret {} err {:?} p50 {:?} max {:?}",
                    crate::model::syscalls::name(&self.session.header.arch, *call),
                    stats.count(),
                    stats.unreturned,
                    stats.errors,
                    stats.latency.quantile(0.5),
                    stats.max_ns()
                );
            }
        }
        eprintln!("{:?}\n{:?}", self.session.ledger, self.session.overhead);
        Ok(())
    }
}

impl Sink for Outputs {
    fn take(&mut self, frame: &Frame) -> Result<(), String> {
        self.session.add(frame);
        Ok(())
    }
}
