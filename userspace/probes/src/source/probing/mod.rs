//! Probes in the code of targets: puts them in wherever a target maps code that is known, watches what they cost, and
//! takes them out when that is too much.

mod absence;
mod budget;
mod files;
mod followed;
mod lives;
mod preview;
mod sampling;
mod switched;

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    fs::File,
    io,
    num::NonZeroU32,
    os::fd::AsRawFd as _,
    path::Path,
    rc::Rc,
};

use binary::{
    files::Origin,
    input,
    locate::{
        glibc::MUTEX_LOCK,
        maps::Candidate,
        plan::{NAMELESS, TIER_0},
    },
};
use kernel::{Kernel, LoadError, Spot, TrapCosts, Uprobes, process_cpu_ns, target};
use model::frame::{ProcessKey, Traps};
use pulse_trace_common::{probes::mutex::class, target::row_flag};

pub use self::preview::{Preview, costs, preview};
use self::{
    budget::Budget,
    files::{Examined, FileId},
    lives::Lives,
    sampling::Sampling,
};
use super::{gather::Gatherer, host};
use crate::{Choice, Mutexes, REFUSED, spots, unprobed};

/// Time after which a process is looked at again for code that it has mapped since.
const PAUSE_NS: u64 = 1_000_000_000;
/// One that has just begun, or begun another program, is looked at with every tick for so long.
const YOUNG_NS: u64 = 500_000_000;
/// Usual paths of the C library: probes can be in it before a command maps it.
const USUAL: [&str; 4] =
    ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib64/libc.so.6", "/usr/lib/libc.so.6"];

/// Limit of the probes' cost unless the user sets one.
pub const BUDGET_PERCENT: f64 = 5.0;

/// Probes of every process would slow everybody.
pub const NOT_OF_EVERYBODY: &str = "mutex: cannot put probes into every process; name targets with -p or --comm, and with --children what they fork";

/// Probes whose hits cannot tell which they are of are none.
pub fn no_cookies() -> String {
    format!(
        "mutex: cannot put probes into code: this kernel takes no probes that carry a cookie, which came with Linux 5.15; {TIER_0}"
    )
}

/// Note about code that cannot be probed, where the probe futex is not in use either.
pub fn without_tier_0(note: &str) -> String {
    note.replace(TIER_0, "tier 0 is the probe futex, which was not chosen")
}

/// Wishes of a session for these probes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    /// Measurements besides those that are always taken.
    pub choice: Choice,
    /// Limit of their cost, percent of the targets' CPU time; `None` for any.
    pub budget_percent: Option<f64>,
}

impl Default for Wish {
    fn default() -> Self {
        Self { choice: Choice::default(), budget_percent: Some(BUDGET_PERCENT) }
    }
}

/// A file whose places are known.
struct Probed {
    file: File,
    /// That have probes all the time.
    spots: Vec<Spot>,
    /// Sites at which mutexes are taken and released, if those have probes in stretches only.
    takes: Vec<Spot>,
    /// Sites at which mutexes are released; see `takes`.
    releases: Vec<Spot>,
}

/// State of a process.
#[derive(Default)]
struct Observed {
    files: HashSet<FileId>,
    probes: Vec<Uprobes>,
    /// Those on where mutexes are taken and let go of, while they are in.
    takes: Vec<Uprobes>,
    /// Probes on sites at which mutexes are released; see `takes`.
    releases: Vec<Uprobes>,
    execs: u32,
    /// Until when it is looked at with every tick.
    young_until_ns: u64,
    next_look_ns: u64,
    /// Its CPU time when it was last asked for.
    cpu_ns: u64,
    /// Its first file, and all that its present program maps.
    program: String,
    mapped: HashSet<FileId>,
    is_judged: bool,
    /// True if all that it maps when it begins has been looked at.
    is_settled: bool,
    joined_ns: u64,
}

/// The probes of a session.
pub struct Probing {
    choice: Choice,
    /// Stretches in which mutexes are followed, where they are in some part of the time only.
    sampling: Option<Sampling>,
    /// The number of the present stretch where they are followed all the time.
    stretch: u32,
    /// Mutexes that were still held when they were no longer followed; not reported yet.
    unfinished: u64,
    budget: Budget,
    costs: io::Result<TrapCosts>,
    files: HashMap<FileId, Option<Rc<Probed>>>,
    /// Of files with locks that have no place to probe: why.
    hopeless: HashMap<FileId, String>,
    processes: HashMap<u32, Observed>,
    lives: Lives,
    /// True once the session has begun.
    has_begun: bool,
    /// Sentences that have been reported, so that none is reported twice.
    said: HashSet<String>,
    notes: Vec<String>,
    begin_ns: u64,
    /// Since when they are out because they cost too much, ns since the session began.
    detached_at_ns: Option<u64>,
    /// The part of the time that is in no interval yet and in which they are in begins here; `None` while they are out.
    in_since_ns: Option<u64>,
    hits: [u64; class::COUNT],
    /// Since the last frame.
    interval: Traps,
}

impl Probing {
    /// Has the kernel take the program and finds out what a hit costs here.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn prepare(kernel: &mut Kernel, wish: Wish) -> Result<Self, LoadError> {
        kernel.load_sites()?;
        let now = host::monotonic_ns();
        Ok(Self {
            choice: wish.choice,
            sampling: followed::begin(kernel, wish.choice, now),
            stretch: followed::FIRST,
            unfinished: 0,
            budget: Budget::new(wish.budget_percent),
            costs: kernel.calibrate_traps(),
            files: HashMap::new(),
            hopeless: HashMap::new(),
            processes: HashMap::new(),
            lives: Lives::default(),
            has_begun: false,
            said: HashSet::new(),
            notes: Vec::new(),
            begin_ns: now,
            detached_at_ns: None,
            in_since_ns: Some(now),
            hits: kernel.trap_hits(),
            interval: Traps::default(),
        })
    }

    /// Notes when the session began, on the monotonic clock: what the probes have cost before is no part of it.
    pub fn start_at(&mut self, kernel: &Kernel, start_ns: u64) {
        (self.begin_ns, self.in_since_ns) = (start_ns, Some(start_ns));
        self.book(kernel);
        self.interval = Traps::default();
        self.has_begun = true;
        self.lives.watch(Some(start_ns));
    }

    /// Puts probes into libraries that a held command will most likely map.
    pub fn expect(&mut self, kernel: &mut Kernel, gatherer: &mut Gatherer, pid: u32) {
        let joined = kernel.process_rows().filter(|(_, row)| row.tgid == pid).map(|(_, row)| row.joined_ns);
        let key = ProcessKey { pid, joined_ns: joined.max().unwrap_or(0) };
        self.look(kernel, gatherer, key, 0);
        for path in USUAL.map(Path::new) {
            let Some((id, file)) = usual(path) else { continue };
            if !self.files.contains_key(&id) {
                let origin = Origin { pid: 0, path: path.to_owned() };
                let Ok(examined) = files::read(file, origin) else { continue };
                let probed = self.choose(id, examined, gatherer);
                self.files.insert(id, probed);
            }
            self.put(kernel, pid, id);
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            // It is held yet, and maps nothing of its own.
            process.is_settled = false;
        }
    }

    /// Looks at all targets: at new ones, at those that run another program now, and from time to time at all.
    pub fn look_around(&mut self, kernel: &mut Kernel, gatherer: &mut Gatherer) {
        self.look_at(kernel, gatherer, false);
    }

    /// Looks at those that are new or run another program now, before anything else is done.
    pub fn meet_new(&mut self, kernel: &mut Kernel, gatherer: &mut Gatherer) {
        self.look_at(kernel, gatherer, true);
    }

    fn look_at(&mut self, kernel: &mut Kernel, gatherer: &mut Gatherer, only_new: bool) {
        if !self.is_in() {
            return;
        }
        let now = host::monotonic_ns();
        let living = kernel.process_rows().filter(|(_, row)| row.exited_ns == 0);
        let mut rows: Vec<(ProcessKey, u32, bool)> = living
            .map(|(_, row)| {
                let key = ProcessKey { pid: row.tgid, joined_ns: row.joined_ns };
                (key, row.execs, row.flags & row_flag::MOVED != 0)
            })
            .collect();
        let living: HashMap<u32, u64> = rows.iter().map(|(key, ..)| (key.pid, key.joined_ns)).collect();
        let lives = |pid: &u32, known: &Observed| living.get(pid).is_some_and(|at| *at <= known.joined_ns);
        let ended: Vec<u32> =
            self.processes.iter().filter(|(pid, known)| !lives(pid, known)).map(|(pid, _)| *pid).collect();
        for pid in ended {
            self.judge(pid, true);
            self.processes.remove(&pid);
        }
        // Events in these processes are missed until their probes are in.
        rows.sort_by_key(|(key, execs, _)| (!self.is_new(key.pid, *execs), Reverse(key.joined_ns)));
        for (key, execs, moved) in rows {
            let is_new = self.is_new(key.pid, execs);
            if moved && is_new {
                self.begin_anew(key.pid);
            }
            let is_due = || self.processes.get(&key.pid).is_none_or(|known| now >= known.next_look_ns);
            if is_new || !only_new && is_due() {
                self.look(kernel, gatherer, key, execs);
            }
        }
    }

    /// The kernel holds probes by the first thread of a process: if another one replaces the program and takes its
    /// place, the probes belong to no process.
    fn begin_anew(&mut self, pid: u32) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.probes.clear();
            process.takes.clear();
            process.releases.clear();
            process.files.clear();
        }
    }

    /// Puts probes into all files that a process maps and that have none yet.
    fn look(&mut self, kernel: &mut Kernel, gatherer: &mut Gatherer, key: ProcessKey, execs: u32) {
        let pid = key.pid;
        let now = host::monotonic_ns();
        let is_new = self.is_new(pid, execs);
        let process = self.processes.entry(pid).or_default();
        if is_new {
            process.young_until_ns = now + YOUNG_NS;
            process.execs = execs;
            process.joined_ns = key.joined_ns;
            process.is_judged = false;
            process.is_settled = !self.has_begun;
            process.program.clear();
            process.mapped.clear();
        }
        process.is_settled |= now >= process.young_until_ns;
        let probes = process.probes.len();
        process.next_look_ns = if now < process.young_until_ns { now } else { now + PAUSE_NS };
        if process.cpu_ns == 0 {
            process.cpu_ns = process_cpu_ns(pid).unwrap_or(0);
        }
        if is_new && target::lives_on(pid) {
            self.lives.looked(key, (now, now), true, false);
            return self.say(format!(
                "mutex: cannot put probes into process {pid}: its first thread has ended, by which the kernel finds it; \
                 {TIER_0}"
            ));
        }
        for candidate in files::of_process(pid) {
            let id = files::id(&candidate);
            let is_met = self.processes.get(&pid).is_some_and(|known| known.files.contains(&id));
            if !is_met {
                self.meet(kernel, gatherer, pid, id, &candidate);
                absence::own_locks(&candidate.path, pid).into_iter().for_each(|note| self.say(note));
            }
            self.note(pid, id, &candidate.path);
        }
        if let Some(process) = self.processes.get(&pid) {
            let is_settled = process.is_settled || !process.probes.is_empty();
            let is_late = process.probes.len() > probes;
            self.lives.looked(key, (now, host::monotonic_ns()), is_settled, is_late);
        }
        self.judge(pid, false);
    }

    /// Puts probes into a file that a process maps.
    fn meet(&mut self, kernel: &mut Kernel, gatherer: &mut Gatherer, pid: u32, id: FileId, it: &Candidate) {
        if !self.files.contains_key(&id) {
            let probed = match files::examine(pid, it) {
                Ok(examined) => self.choose(id, examined, gatherer),
                Err(cause) => {
                    self.say(format!("mutex: cannot read {}: {cause}; {TIER_0}", it.path));
                    None
                }
            };
            self.files.insert(id, probed);
        }
        self.put(kernel, pid, id);
    }

    /// Notes a file that a process maps; the first one gives it its name.
    fn note(&mut self, pid: u32, id: FileId, path: &str) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.program.is_empty() {
            path.rsplit('/').next().unwrap_or(path).clone_into(&mut process.program);
        }
        process.mapped.insert(id);
    }

    /// Sites to attach to in a file; `None` where there are none.
    fn choose(&mut self, id: FileId, examined: Examined, gatherer: &mut Gatherer) -> Option<Rc<Probed>> {
        let Examined { file, library, plan } = examined;
        for refusal in plan.refusals.iter().filter(|text| text.starts_with(REFUSED)) {
            self.say(format!("mutex: {}", refusal.replacen(NAMELESS, &library, 1)));
        }
        if self.choice.total && plan.generation.is_some() && plan.of_call(MUTEX_LOCK).is_none() {
            self.say(format!("mutex: cannot count all calls in {library}: {MUTEX_LOCK} has no place for it; only contended ones are counted"));
        }
        self.say_of_holds(&plan, &library);
        let mutexes: &mut Mutexes = gatherer.mutexes()?;
        let spots = spots(&plan, &library, self.choice, mutexes);
        if spots.is_empty() && (!plan.runtimes.is_empty() || !plan.refusals.is_empty()) {
            self.hopeless.insert(id, unprobed(&library, &plan));
        }
        (!spots.is_empty()).then(|| Rc::new(Probed::new(file, spots, self.sampling.is_some())))
    }

    fn put(&mut self, kernel: &mut Kernel, pid: u32, id: FileId) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if !process.files.insert(id) {
            return;
        }
        let Some(Some(probed)) = self.files.get(&id).cloned() else { return };
        if let (Err(cause), Some(_)) = (&self.costs, self.budget.percent()) {
            return self.say(format!(
                "mutex: cannot put in probes: their cost here cannot be measured ({cause}), and so no budget be held; {TIER_0}, \
                 `pulse-trace doctor` tells what this kernel allows"
            ));
        }
        let path = format!("/proc/self/fd/{}", probed.file.as_raw_fd());
        match kernel.put(pid, path.as_ref(), &probed.spots) {
            Ok(probes) => process.probes.push(probes),
            // It ended in the meantime.
            Err(cause) if cause.raw_os_error() == Some(libc::ESRCH) => {}
            Err(cause) => self.say(format!(
                "mutex: cannot put probes into process {pid}: {cause}; {TIER_0}, `pulse-trace doctor` tells what \
                 this kernel allows"
            )),
        }
    }

    fn say(&mut self, note: String) {
        if self.said.insert(note.clone()) {
            self.notes.push(note);
        }
    }

    /// Books what the probes have cost since the last time, and takes them out if that is too much.
    pub fn watch(&mut self, kernel: &mut Kernel) {
        if !self.is_in() {
            return;
        }
        self.sample(kernel);
        let (cost_ns, cpu_ns) = self.book(kernel);
        if self.budget.book(cost_ns, cpu_ns) {
            self.detach(kernel);
            self.lives.watch(None);
            self.detached_at_ns = Some(host::monotonic_ns() - self.begin_ns);
        }
    }

    /// Hits and CPU time since the last time.
    fn book(&mut self, kernel: &Kernel) -> (f64, u64) {
        let hits = kernel.trap_hits();
        let new: [u64; class::COUNT] = std::array::from_fn(|class| hits[class] - self.hits[class]);
        self.hits = hits;
        let mut cpu_ns = 0;
        for (pid, process) in &mut self.processes {
            if let Some(now) = process_cpu_ns(*pid) {
                cpu_ns += now.saturating_sub(process.cpu_ns);
                process.cpu_ns = now;
            }
        }
        self.interval.hits += new.iter().sum::<u64>();
        self.interval.target_cpu_ns += cpu_ns;
        (self.costs.as_ref().map_or(0.0, |costs| costs.of(&new)), cpu_ns)
    }

    /// Takes all probes out, and books what they have cost up to then.
    fn detach(&mut self, kernel: &Kernel) {
        self.stop_following(kernel);
        self.processes.values_mut().for_each(|process| process.probes.clear());
        self.book(kernel);
        self.pass();
        self.in_since_ns = None;
    }

    /// True if probes are in, as far as there is code for them.
    const fn is_in(&self) -> bool {
        self.in_since_ns.is_some()
    }

    /// Adds the time that has passed with the probes in.
    fn pass(&mut self) {
        if let Some(since) = &mut self.in_since_ns {
            let now = host::monotonic_ns();
            self.interval.attached_ns += now.saturating_sub(*since);
            *since = now;
        }
    }

    /// Takes all probes out at the end of the session.
    pub fn finish(&mut self, kernel: &Kernel, end_ns: u64) {
        for (_, row) in kernel.process_rows().filter(|(_, row)| row.live > 0) {
            self.lives.ended(ProcessKey { pid: row.tgid, joined_ns: row.joined_ns }, end_ns);
        }
        if self.is_in() {
            self.detach(kernel);
        }
        let pids: Vec<u32> = self.processes.keys().copied().collect();
        pids.into_iter().for_each(|pid| self.judge(pid, true));
    }

    /// Cost of the probes since the last frame.
    pub fn take(&mut self, kernel: &Kernel) -> Traps {
        if self.is_in() {
            self.book(kernel);
            self.pass();
        }
        let total: u64 = self.hits.iter().sum();
        let mut traps = std::mem::take(&mut self.interval);
        // The mean of all hits so far: sites differ in what they cost.
        let costs = self.costs.as_ref().ok();
        traps.trap_ns = match total {
            0 => costs.map_or(0.0, |costs| costs.one(class::EMULATED)),
            _ => costs.map_or(0.0, |costs| costs.of(&self.hits)) / total as f64,
        };
        traps.budget_percent = self.budget.percent();
        traps.hold_one_in = self.choice.hold.map(NonZeroU32::get);
        traps.detached_at_ns = self.detached_at_ns;
        traps
    }

    /// Notes for the reader, each once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}

/// A library at a usual place, if there is one.
fn usual(path: &Path) -> Option<(FileId, File)> {
    let file = input::regular(path).ok()?;
    Some((input::identity(&file).ok()?, file))
}
