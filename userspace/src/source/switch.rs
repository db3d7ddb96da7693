//! Probes that are switched off and on again while a session runs.

use std::collections::BTreeMap;

use super::{
    host,
    live::{Live, open_accounts},
};
use crate::{
    kernel::SCHED,
    model::units,
    probes::{self, Switch},
};

/// The ledger's name for times that a probe was switched off.
pub(super) const SWITCHED_OFF: &str = "probe_switched_off";

/// What is off, and what the reader has not been told yet.
#[derive(Default)]
pub struct Switches {
    /// Since when, ns since the session began.
    off: BTreeMap<&'static str, u64>,
    count: u64,
    notes: Vec<String>,
}

impl Switches {
    /// How often something was switched off since the last call.
    pub(super) fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.count)
    }

    /// What the reader must know.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// What is off now stays off.
    pub(super) fn end(&mut self) {
        for (name, since) in std::mem::take(&mut self.off) {
            self.notes.push(format!(
                "{name}: was switched off at {} and not on again: nothing that it would have seen since is in the numbers",
                units::clock(since)
            ));
        }
    }
}

impl Live {
    /// Switches a probe off or on again: its programs are detached or attached.
    ///
    /// # Errors
    /// A sentence, when this probe cannot be switched or the kernel refuses.
    pub fn switch(&mut self, name: &str, on: bool) -> Result<(), String> {
        let verb = if on { "on" } else { "off" };
        let refuse = |cause: &str| Err(format!("cannot switch {name} {verb}: {cause}"));
        let spec = probes::named(name)?;
        match probes::switch(spec.name) {
            Switch::Fixed(why) => return refuse(why),
            Switch::Sched if !self.gatherer.follows_sched() => {
                return refuse("this session was started without it; choose it with --probes");
            }
            Switch::Sched => {}
        }
        if on != self.switches.off.contains_key(spec.name) {
            return Ok(());
        }
        let before = host::monotonic_ns() - self.start_ns;
        if on { self.attach_sched() } else { self.detach_sched() }.map_err(|cause| cause.to_string())?;
        let now = host::monotonic_ns() - self.start_ns;
        if let Some(since) = self.switches.off.remove(spec.name) {
            self.switches.notes.push(format!(
                "{name}: was switched off from {} to {}: nothing that it would have seen then is in the numbers, and time then is unknown time",
                units::clock(since),
                units::clock(now)
            ));
        } else {
            self.switches.off.insert(spec.name, before);
            self.switches.count += 1;
        }
        Ok(())
    }

    fn detach_sched(&mut self) -> Result<(), crate::kernel::LoadError> {
        self.gatherer.switch_sched(&mut self.kernel, false, host::monotonic_ns());
        self.attached.detach_hooks(&SCHED);
        Ok(())
    }

    fn attach_sched(&mut self) -> Result<(), crate::kernel::LoadError> {
        self.kernel.clear_accounts();
        if let Err(cause) = self.kernel.attach(&SCHED, &mut self.attached) {
            // Half of a probe would be worse than none.
            self.attached.detach_hooks(&SCHED);
            return Err(cause);
        }
        let now = host::monotonic_ns();
        self.gatherer.switch_sched(&mut self.kernel, true, now);
        open_accounts(&self.kernel, now);
        Ok(())
    }
}
