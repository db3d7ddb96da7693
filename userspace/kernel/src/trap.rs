//! Cost of a probe hit on this machine, measured on code of the tool.

use std::io;

use pulse_trace_common::probes::mutex::class;

use super::Kernel;

/// Cost of one hit, ns, by class of the site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrapCosts([f64; class::COUNT]);

impl TrapCosts {
    /// Total cost of these hits, ns.
    #[must_use]
    pub fn of(&self, hits: &[u64; class::COUNT]) -> f64 {
        self.0.iter().zip(hits).map(|(cost, hits)| cost * *hits as f64).sum()
    }

    /// Cost of one hit of a class, ns.
    #[must_use]
    pub fn one(&self, class: u8) -> f64 {
        self.0.get(usize::from(class)).copied().unwrap_or(0.0)
    }
}

#[cfg(target_arch = "x86_64")]
mod code {
    //! Functions that begin with an instruction of each class.

    use core::arch::naked_asm;
    use std::time::{Duration, Instant};

    /// Hits per round; the best of several rounds counts, since an interrupted round includes the interruption.
    pub const HITS: u32 = 100;
    const ROUNDS: u32 = 5;

    #[unsafe(naked)]
    pub extern "C" fn nop() {
        naked_asm!(".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", "ret")
    }

    #[unsafe(naked)]
    pub extern "C" fn emulated() {
        naked_asm!("nop", "ret")
    }

    #[unsafe(naked)]
    pub extern "C" fn stepped() {
        naked_asm!("mov eax, edi", "ret")
    }

    /// The shortest time that a round of calls took.
    pub fn time(function: extern "C" fn()) -> Duration {
        let round = || {
            let begin = Instant::now();
            for _ in 0..HITS {
                function();
            }
            begin.elapsed()
        };
        (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
    }
}

impl Kernel {
    /// Measures hits on code of our own.
    ///
    /// # Errors
    /// When no probes can be attached to the tool, and so to no process.
    #[cfg(target_arch = "x86_64")]
    pub fn calibrate_traps(&mut self) -> io::Result<TrapCosts> {
        use binary::maps::Maps;
        use pulse_trace_common::probes::mutex::{Site, role};

        use super::Spot;

        let functions: [extern "C" fn(); 3] = [code::nop, code::emulated, code::stepped];
        let maps = Maps::parse(&std::fs::read("/proc/self/maps")?);
        let site = Site { role: role::CALIBRATION, class: 3, layout: 0, lock: 0, count: 0, origin: 0 };
        let spot = |function: extern "C" fn()| {
            let address = function as *const () as u64;
            Some(Spot { offset: maps.at(address)?.file_offset(address), cookie: site.cookie() })
        };
        let spots: Vec<Spot> =
            functions.into_iter().map(spot).collect::<Option<_>>().ok_or(io::ErrorKind::NotFound)?;
        let bare = functions.map(code::time);
        let probes = self.put(std::process::id(), "/proc/self/exe".as_ref(), &spots)?;
        let mut costs = [0.0; class::COUNT];
        for ((cost, function), bare) in costs.iter_mut().zip(functions).zip(bare) {
            *cost = code::time(function).saturating_sub(bare).as_nanos() as f64 / f64::from(code::HITS);
        }
        // The kernel waits for all programs of this sort to end before the call returns: this thread does not wait with
        // it.
        std::thread::spawn(move || drop(probes));
        Ok(TrapCosts(costs))
    }

    /// Measures hits on code of our own.
    ///
    /// # Errors
    /// Always: no sites are known on this machine.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn calibrate_traps(&mut self) -> io::Result<TrapCosts> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
