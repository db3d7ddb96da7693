//! Mutexes that are followed from where they are taken to where they are let go of: puts the probes for that in and
//! takes them out, all the time or in stretches.

use std::{fs::File, num::NonZeroU32, os::fd::AsRawFd as _};

use binary::locate::site::FilePlan;
use kernel::{Kernel, Spot, Uprobes};
use pulse_trace_common::probes::mutex::{Site, role};

use super::{
    Observed, Probed, Probing,
    sampling::{Sampling, Step},
};
use crate::{Choice, HOLD_NEEDS, source::host};

/// The first stretch in which they are, if they are followed all the time.
pub const FIRST: u32 = 1;
/// In place of a number: there is a gap, or is about to be.
const GAP: u32 = 0;

/// Has the kernel follow mutexes, if that is wished. `None` where it is done all the time, or not at all.
pub fn begin(kernel: &Kernel, choice: Choice, now_ns: u64) -> Option<Sampling> {
    let parts = choice.hold.map(NonZeroU32::get)?;
    if parts > 1 {
        return Some(Sampling::new(parts, now_ns));
    }
    kernel.follow_holds(FIRST, FIRST);
    None
}

impl Probed {
    /// The spots of a file, those on where mutexes are taken and let go of apart if they have probes in stretches only.
    pub(super) fn new(file: File, spots: Vec<Spot>, in_stretches: bool) -> Self {
        let of = |wanted: fn(u8) -> bool| {
            let spots = spots.iter().filter(move |spot| in_stretches && wanted(Site::of(spot.cookie).role));
            spots.copied().collect::<Vec<Spot>>()
        };
        let takes = of(|role| matches!(role, role::TAKE | role::TRY));
        let releases = of(|role| role == role::RELEASE);
        let mut always: Vec<Spot> =
            spots.iter().copied().filter(|spot| !takes.contains(spot) && !releases.contains(spot)).collect();
        // The kernel puts them in one by one, in this order: a take that is seen has its release seen, and so has an
        // attempt the call that takes the mutex later.
        always.sort_by_key(|spot| match Site::of(spot.cookie).role {
            role::TAKE => 1,
            role::TRY => 2,
            _ => 0,
        });
        Self { file, spots: always, takes, releases }
    }
}

impl Probing {
    /// True if it is measured how long mutexes are held.
    pub const fn follows_holds(&self) -> bool {
        self.choice.hold.is_some()
    }

    /// Says of a library in which mutexes cannot be followed why that is so.
    pub(super) fn say_of_holds(&mut self, plan: &FilePlan, library: &str) {
        if self.choice.hold.is_none() || plan.generation.is_none() {
            return;
        }
        let missing: Vec<&str> =
            HOLD_NEEDS.into_iter().filter(|function| plan.of_call(function).is_none()).collect();
        if !missing.is_empty() {
            self.say(format!(
                "mutex: cannot tell how long mutexes of {library} are held: calls of {} are not found",
                missing.join(", ")
            ));
        }
    }

    /// Begins and ends the stretches in which mutexes are followed.
    pub(super) fn sample(&mut self, kernel: &mut Kernel) {
        let Some(sampling) = &mut self.sampling else { return };
        let step = sampling.step(host::monotonic_ns(), |stretch| kernel.held(stretch) > 0);
        let stretch = sampling.stretch();
        match step {
            Some(Step::Begin | Step::Resume) => {
                let taking = sampling.pauses();
                kernel.follow_holds(stretch, GAP);
                self.put_all(kernel, |file| &file.releases, |process| &mut process.releases);
                self.put_all(kernel, |file| &file.takes, |process| &mut process.takes);
                // Only now is a thread that tries in vain certain to be seen when it takes the mutex later.
                kernel.follow_holds(stretch, taking);
            }
            Some(Step::Pause) => {
                kernel.follow_holds(stretch, GAP);
                self.take_out(|process| &mut process.takes);
            }
            Some(Step::End) => {
                kernel.follow_holds(GAP, GAP);
                self.unfinished += kernel.held(stretch);
                self.take_out(|process| &mut process.releases);
            }
            None => {}
        }
    }

    /// Puts probes into every process that has none of this sort.
    fn put_all(
        &mut self,
        kernel: &mut Kernel,
        of: fn(&Probed) -> &Vec<Spot>,
        kept: fn(&mut Observed) -> &mut Vec<Uprobes>,
    ) {
        let mut refused = Vec::new();
        for (pid, process) in &mut self.processes {
            if !kept(process).is_empty() {
                continue;
            }
            let probed: Vec<_> = process.files.iter().filter_map(|id| self.files.get(id)?.clone()).collect();
            for probed in probed.into_iter().filter(|probed| !of(probed).is_empty()) {
                let path = format!("/proc/self/fd/{}", probed.file.as_raw_fd());
                match kernel.put(*pid, path.as_ref(), of(&probed)) {
                    Ok(probes) => kept(process).push(probes),
                    Err(cause) if cause.raw_os_error() == Some(libc::ESRCH) => {}
                    Err(cause) => refused.push(format!(
                        "mutex: cannot follow mutexes of process {pid}: {cause}; how long they are held is not known"
                    )),
                }
            }
        }
        refused.into_iter().for_each(|note| self.say(note));
    }

    fn take_out(&mut self, of: fn(&mut Observed) -> &mut Vec<Uprobes>) {
        self.processes.values_mut().for_each(|process| of(process).clear());
    }

    /// At the end: what is held now has its end missed.
    pub(super) fn stop_following(&mut self, kernel: &Kernel) {
        if self.choice.hold.is_some() {
            let stretch = match &self.sampling {
                None => Some(self.stretch),
                Some(sampling) => sampling.is_open().then(|| sampling.stretch()),
            };
            kernel.follow_holds(GAP, GAP);
            self.unfinished += stretch.map_or(0, |stretch| kernel.held(stretch));
            self.take_out(|process| &mut process.takes);
            self.take_out(|process| &mut process.releases);
            if let Some(sampling) = &mut self.sampling {
                sampling.stop();
            }
        }
    }

    /// After probes were out for a while: what was held before has its end missed.
    pub(super) fn follow_again(&mut self, kernel: &Kernel) {
        if self.choice.hold.is_some() && self.sampling.is_none() {
            self.stretch += 1;
            kernel.follow_holds(self.stretch, self.stretch);
        }
    }

    /// Mutexes that were still held when they were no longer followed, since the last call.
    pub fn take_unfinished(&mut self) -> u64 {
        std::mem::take(&mut self.unfinished)
    }
}

#[cfg(test)]
mod tests {
    use pulse_trace_common::probes::mutex::{class, layout};

    use super::*;

    #[test]
    fn a_take_has_no_probe_before_its_release_has_nor_an_attempt_before_the_take() {
        let roles =
            [role::TRY, role::TAKE, role::SPIN_END, role::TRY, role::RELEASE, role::TAKE, role::RELEASE];
        let spots = roles.iter().zip(0..).map(|(role, offset)| {
            let site =
                Site { role: *role, class: class::NOP, layout: layout::MUTEX, lock: 14, count: 0, origin: 0 };
            Spot { offset, cookie: site.cookie() }
        });
        let spots: Vec<Spot> = spots.collect();
        let file = || File::open("/dev/null").unwrap();
        let offsets = |spots: &[Spot]| spots.iter().map(|spot| spot.offset).collect::<Vec<u64>>();
        let always = Probed::new(file(), spots.clone(), false);
        assert_eq!(offsets(&always.spots), [2, 4, 6, 1, 5, 0, 3]);
        let in_stretches = Probed::new(file(), spots, true);
        let sorts = [&in_stretches.spots, &in_stretches.takes, &in_stretches.releases].map(|it| offsets(it));
        assert_eq!(sorts, [vec![2], vec![0, 1, 3, 5], vec![4, 6]]);
    }
}
