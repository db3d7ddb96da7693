//! Probes that are switched off and on again while a session runs.

use std::collections::BTreeMap;

use kernel::LoadError;
use model::probes::{self, Hook};

use super::{host, live::Live, seating::open_accounts};
use crate::Switch;

/// The ledger's name for times that a probe was switched off.
pub(super) const SWITCHED_OFF: &str = "probe_switched_off";

/// Probes that are off, and notes that the reader has not been told yet.
#[derive(Default)]
pub struct Switches {
    /// Since when, ns since the session began.
    off: BTreeMap<&'static str, u64>,
    count: u64,
    notes: Vec<String>,
}

impl Switches {
    /// Number of times that a probe was switched off, since the last call.
    pub(super) fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.count)
    }

    /// True if a probe is off.
    pub(super) fn is_off(&self, name: &str) -> bool {
        self.off.contains_key(name)
    }

    /// Notes for the reader.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Ends the session: probes that are off now stay off.
    pub(super) fn end(&mut self) {
        for (name, since) in std::mem::take(&mut self.off) {
            self.notes.push(format!(
                "{name}: was switched off at {} and not on again: nothing that it would have seen since is in the numbers",
                moment(since)
            ));
        }
    }
}

/// A moment of the session, to the millisecond: a probe may be off for less than a tenth of a second, and often.
fn moment(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("{}.{:03}s", ms / 1000, ms % 1000)
}

impl Live {
    /// Switches a probe off or on again.
    ///
    /// # Errors
    /// A sentence, when this probe cannot be switched now or the kernel refuses.
    pub fn switch(&mut self, name: &str, on: bool) -> Result<(), String> {
        let spec = probes::named(name)?;
        let which = crate::switch(spec.name);
        if let Some(why) = self.refusal(which, on) {
            return Err(format!("cannot switch {name} {}: {why}", if on { "on" } else { "off" }));
        }
        let taken_out_ns = self.taken_out_ns(which);
        if on != (self.switches.is_off(spec.name) || taken_out_ns.is_some()) {
            return Ok(());
        }
        let before = host::monotonic_ns() - self.start_ns;
        match (which, on) {
            (Switch::Mutex, _) => {
                self.switch_mutex(on);
                Ok(())
            }
            (Switch::Hooks(hooks), true) => {
                self.kernel.forget_open_events().and_then(|()| self.attach_whole(hooks))
            }
            (Switch::Hooks(hooks), false) => {
                self.attached.detach_hooks(hooks);
                Ok(())
            }
            (Switch::Syscalls, true) => self.attach_calls(),
            (Switch::Syscalls, false) => self.detach_calls(),
            (Switch::Futex, _) => self.kernel.look_at_futexes(on),
            (_, true) => self.attach_sched(),
            (_, false) => self.detach_sched(),
        }
        .map_err(|cause| cause.to_string())?;
        let now = host::monotonic_ns() - self.start_ns;
        if let Some(since) = self.switches.off.remove(spec.name) {
            let time = if which == Switch::Sched { ", and time then is unknown time" } else { "" };
            self.switches.notes.push(format!(
                "{name}: was switched off from {} to {}: nothing that it would have seen then is in the numbers{time}",
                moment(since),
                moment(now)
            ));
        } else if let Some(since) = taken_out_ns {
            self.switches.notes.push(format!(
                "{name}: cost more than its budget and was out from {} to {}: nothing that it would have seen then is in the \
                 numbers",
                moment(since),
                moment(now)
            ));
        } else {
            self.switches.off.insert(spec.name, before);
            self.switches.count += 1;
        }
        Ok(())
    }

    /// Reason for which a probe cannot be switched now.
    fn refusal(&self, which: Switch, on: bool) -> Option<String> {
        if let (Switch::Mutex, Some(why)) = (which, &self.left_out) {
            return Some(why.clone());
        }
        let runs = match which {
            Switch::Fixed(why) => return Some(why.to_owned()),
            Switch::Syscalls => self.gatherer.counts_calls(),
            Switch::Sched => self.gatherer.follows_sched(),
            Switch::Futex => self.gatherer.follows_futexes(),
            Switch::Mutex => self.is_probing(),
            Switch::Hooks(hooks) => self.probes.specs().any(|spec| spec.hooks == hooks),
        };
        if !runs {
            return Some("this session was started without it; choose it with --probes".to_owned());
        }
        let others = [("futex", self.gatherer.follows_futexes()), ("sched", self.gatherer.follows_sched())];
        let needed =
            others.into_iter().find(|(other, runs)| *runs && !self.switches.is_off(other)).map(|it| it.0);
        match (which, needed) {
            (Switch::Syscalls, Some(other)) if !on => {
                Some(format!("{other} has to know which call a thread is in; switch {other} off first"))
            }
            (Switch::Futex, _) if !on && self.follows_holds() => {
                Some("it tells --mutex-hold when a wait for a mutex is over; start without that".to_owned())
            }
            (Switch::Sched | Switch::Futex, _) if on && self.switches.is_off("syscalls") => Some(
                "it has to know which call a thread is in, and syscalls is off; switch syscalls on first"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// As at the end of a session: calls that begin are let go first, so that none ends that was not seen to begin.
    fn detach_calls(&mut self) -> Result<(), LoadError> {
        self.kernel.close();
        self.attached.detach("sys_enter");
        self.attached.detach("sys_exit");
        self.gatherer.collect_in_flight(&self.kernel);
        self.kernel.forget_calls();
        Ok(())
    }

    fn attach_calls(&mut self) -> Result<(), LoadError> {
        // Threads that were born meanwhile may be in calls too.
        self.kernel.forget_calls();
        self.kernel.open()?;
        self.attach_whole(probes::hooks_of("syscalls"))
    }

    fn detach_sched(&mut self) -> Result<(), LoadError> {
        self.gatherer.switch_sched(&mut self.kernel, false, host::monotonic_ns());
        self.attached.detach_hooks(probes::hooks_of("sched"));
        Ok(())
    }

    fn attach_sched(&mut self) -> Result<(), LoadError> {
        self.kernel.clear_accounts();
        self.attach_whole(probes::hooks_of("sched"))?;
        let now = host::monotonic_ns();
        self.gatherer.switch_sched(&mut self.kernel, true, now);
        let _ = open_accounts(&self.kernel, now, &mut |_| true);
        Ok(())
    }

    /// Attaches all hooks of a probe, or none: half of a probe would be worse.
    fn attach_whole(&mut self, hooks: &[Hook]) -> Result<(), LoadError> {
        let attached = self.kernel.attach(hooks, &mut self.attached);
        if attached.is_err() {
            self.attached.detach_hooks(hooks);
        }
        attached.map(drop)
    }
}
