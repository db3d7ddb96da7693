//! The one list of what is measured.

use super::target::{
    CONTENTION_2, CONTENTION_8, CONTEXT_SWITCH, SEND_AND_RECEIVE, TASK_SPAWN, Target, UNCONTENDED_ATOMIC,
    UNCONTENDED_MUTEX,
};
use super::{
    Built, Setup, atomic, channel, channel_tokio, contest, epoch, herd, lock, lock_async, migrate, mutex,
    rwlock, sharing, spawn, spawn_many, yielding,
};

/// Messages that may pile up in a channel without bound: a lap sends no more.
const MOST_QUEUED: u64 = 1_000_000;

/// Benchmarks that belong together in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Atomic operations of one thread.
    Atomic,
    /// Mutexes that one party takes alone.
    Mutex,
    /// Two and eight threads at one word or lock.
    Contention,
    /// Reader-writer locks, uncontended and contended.
    RwLock,
    /// Channels between threads and tasks.
    Channel,
    /// Tasks, spawned and awaited.
    Spawn,
    /// Giving the CPU away.
    Yield,
    /// Epoch-based reclamation of memory.
    Epoch,
    /// Shares of threads that race.
    Fairness,
    /// Many released at once.
    Herd,
    /// False sharing of a cache line.
    Sharing,
    /// The same amount of work by more and more threads.
    Progressive,
}

/// One benchmark, described.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// Unique name: group, then what.
    pub name: &'static str,
    /// Group that it is reported in.
    pub group: Group,
    /// Threads or tasks that take part.
    pub parties: usize,
    /// Description of one operation.
    pub about: &'static str,
    /// The published target it is held against.
    pub target: Option<Target>,
    /// A lap does at least so many operations.
    pub least: u64,
    /// A lap does at most so many operations.
    pub most: u64,
    /// Its threads share one CPU on purpose.
    pub one_cpu: bool,
    /// Every lap does the same work, for any number of parties.
    pub fixed_work: bool,
    build: fn(&Setup, usize) -> Built,
}

impl Pattern {
    /// Sets it up afresh: its own threads, runtime and structures.
    ///
    /// # Errors
    ///
    /// The machine refuses threads or the CPUs asked for.
    pub fn build(&self, setup: &Setup) -> Built {
        (self.build)(setup, self.parties)
    }

    /// CPUs it may use at once on this machine.
    #[must_use]
    pub fn cpus(&self, setup: &Setup) -> usize {
        match &setup.pin {
            _ if self.one_cpu => 1,
            Some(cpus) => cpus.len(),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    const fn on_one_cpu(mut self) -> Self {
        self.one_cpu = true;
        self
    }

    const fn against(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    const fn at_least(mut self, operations: u64) -> Self {
        self.least = operations;
        self
    }

    const fn at_most(mut self, operations: u64) -> Self {
        self.most = operations;
        self
    }

    const fn fixed_work(mut self) -> Self {
        self.fixed_work = true;
        self
    }
}

const fn row(
    name: &'static str,
    group: Group,
    parties: usize,
    about: &'static str,
    build: fn(&Setup, usize) -> Built,
) -> Pattern {
    let (least, most) = (parties as u64, u64::MAX);
    Pattern {
        name,
        group,
        parties,
        about,
        target: None,
        least,
        most,
        one_cpu: false,
        fixed_work: false,
        build,
    }
}

/// Every benchmark, in the order of the report.
#[rustfmt::skip]
pub const ALL: &[Pattern] = &[
    row("atomic/load", Group::Atomic, 1, "relaxed load", atomic::load).against(UNCONTENDED_ATOMIC),
    row("atomic/store", Group::Atomic, 1, "relaxed store", atomic::store).against(UNCONTENDED_ATOMIC),
    row("atomic/store-seqcst", Group::Atomic, 1, "sequentially consistent store", atomic::store_seqcst).against(UNCONTENDED_ATOMIC),
    row("atomic/fetch-add", Group::Atomic, 1, "relaxed addition", atomic::fetch_add).against(UNCONTENDED_ATOMIC),
    row("atomic/compare-exchange", Group::Atomic, 1, "compare and swap that succeeds", atomic::compare_exchange).against(UNCONTENDED_ATOMIC),
    row("atomic/compare-exchange-seqcst", Group::Atomic, 1, "the same, sequentially consistent", atomic::compare_exchange_seqcst).against(UNCONTENDED_ATOMIC),
    row("atomic/cell-fetch-add", Group::Atomic, 1, "addition on crossbeam's AtomicCell", atomic::cell_fetch_add).against(UNCONTENDED_ATOMIC),
    row("mutex/std", Group::Mutex, 1, "lock and unlock", mutex::uncontended::<lock::Std<_>>).against(UNCONTENDED_MUTEX),
    row("mutex/parking-lot", Group::Mutex, 1, "lock and unlock", mutex::uncontended::<lock::ParkingLot<_>>).against(UNCONTENDED_MUTEX),
    row("mutex/parking-lot-0.12", Group::Mutex, 1, "lock and unlock, of parking_lot 0.12", mutex::uncontended::<lock::ParkingLot012<_>>).against(UNCONTENDED_MUTEX),
    row("mutex/parking-lot-fair", Group::Mutex, 1, "lock and fair unlock", mutex::uncontended::<lock::ParkingLotFair<_>>).against(UNCONTENDED_MUTEX),
    row("mutex/adaptive", Group::Mutex, 1, "lock that spins before it parks", mutex::uncontended::<lock::Adaptive<_>>).against(UNCONTENDED_MUTEX),
    row("mutex/tokio", Group::Mutex, 1, "lock().await and unlock", lock_async::mutex_uncontended).against(UNCONTENDED_MUTEX),
    row("contention/fetch-add-2", Group::Contention, 2, "threads add to one word", atomic::shared_fetch_add).against(CONTENTION_2),
    row("contention/cas-loop-2", Group::Contention, 2, "threads compare and swap one word", atomic::shared_cas_loop).against(CONTENTION_2),
    row("contention/std-2", Group::Contention, 2, "threads share a mutex", mutex::contended::<lock::Std<_>>).against(CONTENTION_2),
    row("contention/parking-lot-2", Group::Contention, 2, "threads share a mutex", mutex::contended::<lock::ParkingLot<_>>).against(CONTENTION_2),
    row("contention/parking-lot-0.12-2", Group::Contention, 2, "threads share a mutex of parking_lot 0.12", mutex::contended::<lock::ParkingLot012<_>>).against(CONTENTION_2),
    row("contention/parking-lot-fair-2", Group::Contention, 2, "threads share a mutex, each unlock fair", mutex::contended::<lock::ParkingLotFair<_>>).against(CONTENTION_2),
    row("contention/adaptive-2", Group::Contention, 2, "threads share a lock that spins before it parks", mutex::contended::<lock::Adaptive<_>>).against(CONTENTION_2),
    row("contention/tokio-2", Group::Contention, 2, "tasks share a mutex", lock_async::mutex_contended).against(CONTENTION_2),
    row("contention/spawned-inside-2", Group::Contention, 2, "threads add to one word, started and joined inside the timed part", atomic::spawned_inside),
    row("contention/fetch-add-8", Group::Contention, 8, "threads add to one word", atomic::shared_fetch_add).against(CONTENTION_8),
    row("contention/cas-loop-8", Group::Contention, 8, "threads compare and swap one word", atomic::shared_cas_loop).against(CONTENTION_8),
    row("contention/std-8", Group::Contention, 8, "threads share a mutex", mutex::contended::<lock::Std<_>>).against(CONTENTION_8),
    row("contention/parking-lot-8", Group::Contention, 8, "threads share a mutex", mutex::contended::<lock::ParkingLot<_>>).against(CONTENTION_8),
    row("contention/parking-lot-0.12-8", Group::Contention, 8, "threads share a mutex of parking_lot 0.12", mutex::contended::<lock::ParkingLot012<_>>).against(CONTENTION_8),
    row("contention/parking-lot-fair-8", Group::Contention, 8, "threads share a mutex, each unlock fair", mutex::contended::<lock::ParkingLotFair<_>>).against(CONTENTION_8),
    row("contention/adaptive-8", Group::Contention, 8, "threads share a lock that spins before it parks", mutex::contended::<lock::Adaptive<_>>).against(CONTENTION_8),
    row("contention/tokio-8", Group::Contention, 8, "tasks share a mutex", lock_async::mutex_contended).against(CONTENTION_8),
    row("contention/spawned-inside-8", Group::Contention, 8, "threads add to one word, started and joined inside the timed part", atomic::spawned_inside),
    row("rwlock/read/std", Group::RwLock, 1, "read lock and unlock", rwlock::read_uncontended::<rwlock::Std>),
    row("rwlock/read/parking-lot", Group::RwLock, 1, "read lock and unlock", rwlock::read_uncontended::<rwlock::ParkingLot>),
    row("rwlock/read/tokio", Group::RwLock, 1, "read().await and unlock", lock_async::read_uncontended),
    row("rwlock/write/std", Group::RwLock, 1, "write lock and unlock", rwlock::write_uncontended::<rwlock::Std>),
    row("rwlock/write/parking-lot", Group::RwLock, 1, "write lock and unlock", rwlock::write_uncontended::<rwlock::ParkingLot>),
    row("rwlock/write/tokio", Group::RwLock, 1, "write().await and unlock", lock_async::write_uncontended),
    row("rwlock/read-2/std", Group::RwLock, 2, "threads read only", rwlock::read_shared::<rwlock::Std>),
    row("rwlock/read-2/parking-lot", Group::RwLock, 2, "threads read only", rwlock::read_shared::<rwlock::ParkingLot>),
    row("rwlock/read-2/tokio", Group::RwLock, 2, "tasks read only", lock_async::read_shared),
    row("rwlock/mixed-2/std", Group::RwLock, 2, "threads write once in ten operations", rwlock::mixed::<rwlock::Std>),
    row("rwlock/mixed-2/parking-lot", Group::RwLock, 2, "threads write once in ten operations", rwlock::mixed::<rwlock::ParkingLot>),
    row("rwlock/mixed-2/tokio", Group::RwLock, 2, "tasks write once in ten operations", lock_async::mixed),
    row("rwlock/read-8/std", Group::RwLock, 8, "threads read only", rwlock::read_shared::<rwlock::Std>),
    row("rwlock/read-8/parking-lot", Group::RwLock, 8, "threads read only", rwlock::read_shared::<rwlock::ParkingLot>),
    row("rwlock/read-8/tokio", Group::RwLock, 8, "tasks read only", lock_async::read_shared),
    row("rwlock/mixed-8/std", Group::RwLock, 8, "threads write once in ten operations", rwlock::mixed::<rwlock::Std>),
    row("rwlock/mixed-8/parking-lot", Group::RwLock, 8, "threads write once in ten operations", rwlock::mixed::<rwlock::ParkingLot>),
    row("rwlock/mixed-8/tokio", Group::RwLock, 8, "tasks write once in ten operations", lock_async::mixed),
    row("rwlock/behind-writer-2/tokio", Group::RwLock, 2, "readers queue behind a writer, who then leaves", lock_async::read_behind_writer),
    row("rwlock/behind-writer-6/tokio", Group::RwLock, 6, "readers queue behind a writer, who then leaves", lock_async::read_behind_writer),
    row("channel/in-out/std", Group::Channel, 1, "one party sends and receives in turn", channel::in_and_out::<channel::Std>).against(SEND_AND_RECEIVE),
    row("channel/in-out/crossbeam", Group::Channel, 1, "one party sends and receives in turn", channel::in_and_out::<channel::Crossbeam>).against(SEND_AND_RECEIVE),
    row("channel/in-out/tokio", Group::Channel, 1, "one party sends and receives in turn", channel_tokio::in_and_out).against(SEND_AND_RECEIVE),
    row("channel/oneshot/tokio", Group::Channel, 1, "opened, used for one message, dropped", channel_tokio::oneshot).against(SEND_AND_RECEIVE),
    row("channel/spsc/std", Group::Channel, 2, "one sender, one receiver", channel::to_one::<channel::Std>).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/spsc/std-bounded", Group::Channel, 2, "one sender, one receiver, room for 1000", channel::to_one::<channel::StdBounded>).against(SEND_AND_RECEIVE),
    row("channel/spsc/crossbeam", Group::Channel, 2, "one sender, one receiver", channel::to_one::<channel::Crossbeam>).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/spsc/crossbeam-bounded", Group::Channel, 2, "one sender, one receiver, room for 1000", channel::to_one::<channel::CrossbeamBounded<{ channel::CAPACITY }>>).against(SEND_AND_RECEIVE),
    row("channel/spsc/crossbeam-one", Group::Channel, 2, "one sender, one receiver, room for one", channel::to_one::<channel::CrossbeamBounded<1>>).against(SEND_AND_RECEIVE),
    row("channel/spsc/crossbeam-zero", Group::Channel, 2, "one sender, one receiver, they meet", channel::to_one::<channel::CrossbeamBounded<0>>).against(SEND_AND_RECEIVE),
    row("channel/spsc/tokio", Group::Channel, 2, "one sender, one receiver", channel_tokio::to_one).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/spsc/tokio-bounded", Group::Channel, 2, "one sender, one receiver, room for 1000", channel_tokio::to_one_bounded).against(SEND_AND_RECEIVE),
    row("channel/mpsc/std", Group::Channel, 5, "four senders, one receiver", channel::to_one::<channel::Std>).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/mpsc/std-bounded", Group::Channel, 5, "four senders, one receiver, room for 1000", channel::to_one::<channel::StdBounded>).against(SEND_AND_RECEIVE),
    row("channel/mpsc/crossbeam", Group::Channel, 5, "four senders, one receiver", channel::to_one::<channel::Crossbeam>).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/mpsc/crossbeam-bounded", Group::Channel, 5, "four senders, one receiver, room for 1000", channel::to_one::<channel::CrossbeamBounded<{ channel::CAPACITY }>>).against(SEND_AND_RECEIVE),
    row("channel/mpsc/tokio", Group::Channel, 5, "four senders, one receiver", channel_tokio::to_one).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/mpsc/tokio-bounded", Group::Channel, 5, "four senders, one receiver, room for 1000", channel_tokio::to_one_bounded).against(SEND_AND_RECEIVE),
    row("channel/mpmc/std-mutex", Group::Channel, 8, "four senders, four receivers that share one behind a mutex", channel::to_many::<channel::StdShared>).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/mpmc/crossbeam", Group::Channel, 8, "four senders, four receivers", channel::to_many::<channel::Crossbeam>).against(SEND_AND_RECEIVE).at_most(MOST_QUEUED),
    row("channel/mpmc/crossbeam-bounded", Group::Channel, 8, "four senders, four receivers, room for 1000", channel::to_many::<channel::CrossbeamBounded<{ channel::CAPACITY }>>).against(SEND_AND_RECEIVE),
    row("channel/mpmc/tokio-mutex", Group::Channel, 8, "four senders, four receivers that share one behind a mutex", channel_tokio::to_many).against(SEND_AND_RECEIVE),
    row("spawn/local", Group::Spawn, 1, "from a worker, awaited", spawn::local).against(TASK_SPAWN),
    row("spawn/local-as-published", Group::Spawn, 1, "from within block_on, awaited", spawn::local_as_published).against(TASK_SPAWN),
    row("spawn/remote", Group::Spawn, 1, "from outside the runtime, awaited", spawn::remote).against(TASK_SPAWN),
    row("spawn/current-thread", Group::Spawn, 1, "on a runtime of one thread, awaited", spawn::current_thread).against(TASK_SPAWN),
    row("spawn/blocking", Group::Spawn, 1, "on the blocking pool, awaited", spawn::blocking),
    row("spawn/many-local", Group::Spawn, 1, "a thousand from a worker, then awaited", spawn_many::local).against(TASK_SPAWN),
    row("spawn/many-remote", Group::Spawn, 1, "a thousand from outside, then awaited", spawn_many::remote).against(TASK_SPAWN),
    row("spawn/chained", Group::Spawn, 1, "each task spawns the next", spawn_many::chained).against(TASK_SPAWN),
    row("spawn/migrated", Group::Spawn, 1, "from a worker that stays busy: each task moves to another one", migrate::stolen),
    row("spawn/fresh-runtime", Group::Spawn, 1, "the first task of a runtime built for it, which is then shut down", migrate::fresh_runtime).at_most(migrate::RUNTIMES),
    row("spawn/thread", Group::Spawn, 1, "a thread, for scale", spawn::thread),
    row("yield/task-alone", Group::Yield, 1, "one task, one thread", yielding::task_alone).against(CONTEXT_SWITCH),
    row("yield/tasks-200", Group::Yield, 200, "two hundred tasks on the workers", yielding::tasks).against(CONTEXT_SWITCH),
    row("yield/thread-alone", Group::Yield, 1, "sched_yield with no thread to yield to", yielding::thread_alone).against(CONTEXT_SWITCH),
    row("yield/threads-one-cpu", Group::Yield, 2, "two threads yield to each other on one CPU", yielding::threads_on_one_cpu).on_one_cpu().against(CONTEXT_SWITCH),
    row("yield/park-one-cpu", Group::Yield, 2, "two threads wake each other on one CPU", yielding::parked_on_one_cpu).on_one_cpu().against(CONTEXT_SWITCH),
    row("yield/park", Group::Yield, 2, "two threads wake each other", yielding::parked).against(CONTEXT_SWITCH),
    row("epoch/pin", Group::Epoch, 1, "enter and leave", epoch::pin_alone),
    row("epoch/pin-8", Group::Epoch, 8, "threads enter and leave", epoch::pin_together),
    row("epoch/defer", Group::Epoch, 1, "a closure for later", epoch::alone::<epoch::Defer>),
    row("epoch/defer-8", Group::Epoch, 8, "threads leave closures for later", epoch::together::<epoch::Defer>),
    row("epoch/destroy", Group::Epoch, 1, "allocate and retire", epoch::alone::<epoch::Destroy>),
    row("epoch/destroy-8", Group::Epoch, 8, "threads allocate and retire", epoch::together::<epoch::Destroy>),
    row("epoch/flush", Group::Epoch, 1, "a closure for later, pushed out at once", epoch::alone::<epoch::Flush>),
    row("fairness/std-2", Group::Fairness, 2, "threads race for a fixed amount of work", contest::short_hold::<lock::Std<_>>),
    row("fairness/parking-lot-2", Group::Fairness, 2, "threads race for a fixed amount of work", contest::short_hold::<lock::ParkingLot<_>>),
    row("fairness/parking-lot-0.12-2", Group::Fairness, 2, "threads race for a fixed amount of work, lock of parking_lot 0.12", contest::short_hold::<lock::ParkingLot012<_>>),
    row("fairness/parking-lot-fair-2", Group::Fairness, 2, "threads race for a fixed amount of work", contest::short_hold::<lock::ParkingLotFair<_>>),
    row("fairness/adaptive-2", Group::Fairness, 2, "threads race for a fixed amount of work", contest::short_hold::<lock::Adaptive<_>>),
    row("fairness/tokio-2", Group::Fairness, 2, "tasks race for a fixed amount of work", contest::tokio_short_hold),
    row("fairness/std-8", Group::Fairness, 8, "threads race for a fixed amount of work", contest::short_hold::<lock::Std<_>>),
    row("fairness/parking-lot-8", Group::Fairness, 8, "threads race for a fixed amount of work", contest::short_hold::<lock::ParkingLot<_>>),
    row("fairness/parking-lot-0.12-8", Group::Fairness, 8, "threads race for a fixed amount of work, lock of parking_lot 0.12", contest::short_hold::<lock::ParkingLot012<_>>),
    row("fairness/parking-lot-fair-8", Group::Fairness, 8, "threads race for a fixed amount of work", contest::short_hold::<lock::ParkingLotFair<_>>),
    row("fairness/adaptive-8", Group::Fairness, 8, "threads race for a fixed amount of work", contest::short_hold::<lock::Adaptive<_>>),
    row("fairness/tokio-8", Group::Fairness, 8, "tasks race for a fixed amount of work", contest::tokio_short_hold),
    row("fairness/long-hold/std", Group::Fairness, 4, "the same, each holds the lock for 1.2 ms", contest::long_hold::<lock::Std<_>>).at_least(24),
    row("fairness/long-hold/parking-lot", Group::Fairness, 4, "the same, each holds the lock for 1.2 ms", contest::long_hold::<lock::ParkingLot<_>>).at_least(24),
    row("fairness/long-hold/parking-lot-0.12", Group::Fairness, 4, "the same, each holds the lock for 1.2 ms, lock of parking_lot 0.12", contest::long_hold::<lock::ParkingLot012<_>>).at_least(24),
    row("herd/barrier-2", Group::Herd, 2, "threads behind a barrier want one lock", herd::threads::<herd::BehindBarrier>),
    row("herd/barrier-8", Group::Herd, 8, "threads behind a barrier want one lock", herd::threads::<herd::BehindBarrier>),
    row("herd/barrier-16", Group::Herd, 16, "threads behind a barrier want one lock", herd::threads::<herd::BehindBarrier>),
    row("herd/condvar-8", Group::Herd, 8, "threads behind a condition variable want one lock", herd::threads::<herd::BehindCondvar>),
    row("herd/tokio-8", Group::Herd, 8, "tasks behind a barrier want one lock", herd::tasks),
    row("sharing/same-word", Group::Sharing, 2, "two threads, one counter", atomic::shared_fetch_add),
    row("sharing/one-line", Group::Sharing, 2, "two threads, two counters in a cache line", sharing::own_counter::<sharing::Packed>),
    row("sharing/padded-64", Group::Sharing, 2, "two threads, two counters 64 bytes apart", sharing::own_counter::<sharing::Padded64>),
    row("sharing/padded-128", Group::Sharing, 2, "two threads, two counters 128 bytes apart", sharing::own_counter::<sharing::Padded128>),
    row("progressive/fetch-add-1", Group::Progressive, 1, "a fixed amount of work on one word", atomic::shared_fetch_add).fixed_work(),
    row("progressive/fetch-add-2", Group::Progressive, 2, "a fixed amount of work on one word", atomic::shared_fetch_add).fixed_work(),
    row("progressive/fetch-add-4", Group::Progressive, 4, "a fixed amount of work on one word", atomic::shared_fetch_add).fixed_work(),
    row("progressive/fetch-add-8", Group::Progressive, 8, "a fixed amount of work on one word", atomic::shared_fetch_add).fixed_work(),
    row("progressive/fetch-add-16", Group::Progressive, 16, "a fixed amount of work on one word", atomic::shared_fetch_add).fixed_work(),
    row("progressive/std-1", Group::Progressive, 1, "a fixed amount of work on one mutex", mutex::contended::<lock::Std<_>>).fixed_work(),
    row("progressive/std-2", Group::Progressive, 2, "a fixed amount of work on one mutex", mutex::contended::<lock::Std<_>>).fixed_work(),
    row("progressive/std-4", Group::Progressive, 4, "a fixed amount of work on one mutex", mutex::contended::<lock::Std<_>>).fixed_work(),
    row("progressive/std-8", Group::Progressive, 8, "a fixed amount of work on one mutex", mutex::contended::<lock::Std<_>>).fixed_work(),
    row("progressive/std-16", Group::Progressive, 16, "a fixed amount of work on one mutex", mutex::contended::<lock::Std<_>>).fixed_work(),
    row("progressive/parking-lot-1", Group::Progressive, 1, "a fixed amount of work on one mutex", mutex::contended::<lock::ParkingLot<_>>).fixed_work(),
    row("progressive/parking-lot-2", Group::Progressive, 2, "a fixed amount of work on one mutex", mutex::contended::<lock::ParkingLot<_>>).fixed_work(),
    row("progressive/parking-lot-4", Group::Progressive, 4, "a fixed amount of work on one mutex", mutex::contended::<lock::ParkingLot<_>>).fixed_work(),
    row("progressive/parking-lot-8", Group::Progressive, 8, "a fixed amount of work on one mutex", mutex::contended::<lock::ParkingLot<_>>).fixed_work(),
    row("progressive/parking-lot-16", Group::Progressive, 16, "a fixed amount of work on one mutex", mutex::contended::<lock::ParkingLot<_>>).fixed_work(),
    row("progressive/adaptive-1", Group::Progressive, 1, "a fixed amount of work on one mutex", mutex::contended::<lock::Adaptive<_>>).fixed_work(),
    row("progressive/adaptive-2", Group::Progressive, 2, "a fixed amount of work on one mutex", mutex::contended::<lock::Adaptive<_>>).fixed_work(),
    row("progressive/adaptive-4", Group::Progressive, 4, "a fixed amount of work on one mutex", mutex::contended::<lock::Adaptive<_>>).fixed_work(),
    row("progressive/adaptive-8", Group::Progressive, 8, "a fixed amount of work on one mutex", mutex::contended::<lock::Adaptive<_>>).fixed_work(),
    row("progressive/adaptive-16", Group::Progressive, 16, "a fixed amount of work on one mutex", mutex::contended::<lock::Adaptive<_>>).fixed_work(),
    row("progressive/mpmc-1", Group::Progressive, 2, "a fixed number of messages, as many receivers as senders", channel::to_many::<channel::Crossbeam>).at_most(MOST_QUEUED).fixed_work(),
    row("progressive/mpmc-2", Group::Progressive, 4, "a fixed number of messages, as many receivers as senders", channel::to_many::<channel::Crossbeam>).at_most(MOST_QUEUED).fixed_work(),
    row("progressive/mpmc-4", Group::Progressive, 8, "a fixed number of messages, as many receivers as senders", channel::to_many::<channel::Crossbeam>).at_most(MOST_QUEUED).fixed_work(),
    row("progressive/mpmc-8", Group::Progressive, 16, "a fixed number of messages, as many receivers as senders", channel::to_many::<channel::Crossbeam>).at_most(MOST_QUEUED).fixed_work(),
    row("progressive/mpmc-16", Group::Progressive, 32, "a fixed number of messages, as many receivers as senders", channel::to_many::<channel::Crossbeam>).at_most(MOST_QUEUED).fixed_work(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::TARGETS;
    use super::*;

    #[test]
    fn names_are_unique_and_sorted_by_group() {
        let names: BTreeSet<_> = ALL.iter().map(|pattern| pattern.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.is_sorted_by_key(|pattern| pattern.group));
    }

    #[test]
    fn every_published_target_has_something_measured_against_it() {
        for target in TARGETS {
            assert!(ALL.iter().any(|pattern| pattern.target == Some(target)), "{}", target.operation);
        }
    }

    #[test]
    fn every_pattern_does_what_is_asked_and_counts_it() {
        for pattern in ALL {
            let mut run = pattern.build(&Setup::default()).unwrap();
            let mut done = 0;
            for operations in [pattern.least, 3 * pattern.least + 1] {
                let lap = run.lap(operations).unwrap();
                assert!(lap.operations >= operations, "{}: {} of {operations}", pattern.name, lap.operations);
                assert!(lap.elapsed.as_nanos() > 0 || lap.operations < 10, "{}", pattern.name);
                done += lap.operations;
            }
            if let Some(seen) = run.observe(2 * pattern.least, 1).unwrap() {
                assert!(seen.latency.count() > 0, "{}", pattern.name);
                done += seen.operations;
            }
            assert_eq!(run.counted().unwrap_or(done), done, "{}", pattern.name);
        }
    }
}
