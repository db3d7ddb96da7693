//! Fairness: threads race for operations that one lock hands out, and the shares they end up with are the result.
//!
//! The work is fixed, its division is not: a pot under the lock holds what is left, and every acquisition takes one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::crew::Crew;
use super::lap::Lap;
use super::lock::Lock;
use super::mutex::arithmetic;
use super::tasks::Tasks;
use super::work::{AsyncWork, Work};
use super::{Built, Run, Setup};
use crate::contract::Refusal;

/// Longer than the millisecond from which on `parking_lot` 0.12 hands a lock over at every release.
const LONG_HOLD: Duration = Duration::from_micros(1_200);

/// Data that the lock protects.
#[derive(Debug, Default)]
pub struct Pot {
    left: u64,
    taken: u64,
    owner: usize,
    streak: u64,
    longest: u64,
    number: f64,
}

impl Pot {
    fn fill(&mut self, operations: u64) {
        (self.left, self.streak, self.longest, self.owner) = (operations, 0, 0, usize::MAX);
    }

    /// Takes one operation, if any is left, and holds on to the lock for as long as told.
    fn take(&mut self, taker: usize, hold: Hold) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.taken += 1;
        self.streak = if self.owner == taker { self.streak + 1 } else { 1 };
        self.owner = taker;
        self.longest = self.longest.max(self.streak);
        self.number = arithmetic(self.number, hold.units);
        if let Some(time) = hold.time {
            let since = Instant::now();
            while since.elapsed() < time {
                std::hint::spin_loop();
            }
        }
        true
    }
}

#[derive(Clone, Copy)]
struct Hold {
    units: u32,
    time: Option<Duration>,
}

struct Racer<L> {
    me: usize,
    pot: Arc<L>,
    hold: Hold,
    between: u32,
    number: f64,
}

impl<L: Lock<Pot>> Work for Racer<L> {
    fn run(&mut self, operations: u64) -> u64 {
        let mut done = 0;
        while done < operations && self.pot.with(|pot| pot.take(self.me, self.hold)) {
            self.number = arithmetic(self.number, self.between);
            done += 1;
        }
        done
    }
}

/// A race over a lock of threads.
struct Race<L> {
    crew: Crew,
    pot: Arc<L>,
}

impl<L: Lock<Pot>> Run for Race<L> {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        self.pot.with(|pot| pot.fill(operations));
        let mut lap = self.crew.lap(operations)?;
        lap.longest_streak = Some(self.pot.with(|pot| pot.longest));
        Ok(lap)
    }

    fn counted(&self) -> Option<u64> {
        Some(self.pot.with(|pot| pot.taken))
    }
}

fn race<L: Lock<Pot>>(setup: &Setup, threads: usize, time: Option<Duration>) -> Built {
    let pot = Arc::new(L::new(Pot::default()));
    let hold = Hold { units: setup.work_inside, time };
    let racer = |me| -> Box<dyn Work> {
        Box::new(Racer { me, pot: Arc::clone(&pot), hold, between: setup.work_between, number: 0.0 })
    };
    let crew = Crew::start(setup, (0..threads).map(racer).collect())?.racing();
    Ok(Box::new(Race { crew, pot }))
}

/// The lock is held for as short as can be.
pub fn short_hold<L: Lock<Pot>>(setup: &Setup, threads: usize) -> Built {
    race::<L>(setup, threads, None)
}

/// The lock is held for [`LONG_HOLD`] each time.
pub fn long_hold<L: Lock<Pot>>(setup: &Setup, threads: usize) -> Built {
    race::<L>(setup, threads, Some(LONG_HOLD))
}

struct AsyncRacer {
    me: usize,
    pot: Arc<Mutex<Pot>>,
    hold: Hold,
    between: u32,
    number: f64,
}

impl AsyncWork for AsyncRacer {
    async fn once(&mut self) {
        self.run(1).await;
    }

    async fn run(&mut self, operations: u64) -> u64 {
        let mut done = 0;
        while done < operations && self.pot.lock().await.take(self.me, self.hold) {
            self.number = arithmetic(self.number, self.between);
            done += 1;
        }
        done
    }
}

/// A race over Tokio's lock.
struct AsyncRace {
    tasks: Tasks<AsyncRacer>,
    pot: Arc<Mutex<Pot>>,
}

impl AsyncRace {
    /// Between laps no task holds the lock, so that trying is enough.
    fn pot<R>(&self, work: impl FnOnce(&mut Pot) -> R) -> Option<R> {
        self.pot.try_lock().ok().map(|mut pot| work(&mut pot))
    }
}

impl Run for AsyncRace {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        self.pot(|pot| pot.fill(operations));
        let mut lap = self.tasks.lap(operations)?;
        lap.longest_streak = self.pot(|pot| pot.longest);
        Ok(lap)
    }

    fn counted(&self) -> Option<u64> {
        self.pot(|pot| pot.taken)
    }
}

/// Tasks instead of threads; the lock is held for as short as can be.
pub fn tokio_short_hold(setup: &Setup, tasks: usize) -> Built {
    let pot = Arc::new(Mutex::new(Pot::default()));
    let hold = Hold { units: setup.work_inside, time: None };
    let racer = |me| AsyncRacer { me, pot: Arc::clone(&pot), hold, between: setup.work_between, number: 0.0 };
    let tasks = Tasks::new(setup, (0..tasks).map(racer).collect())?.racing();
    Ok(Box::new(AsyncRace { tasks, pot }))
}

#[cfg(test)]
mod tests {
    use super::super::lock::{ParkingLotFair, Std};
    use super::*;

    #[test]
    fn a_pot_is_emptied_exactly_and_streaks_are_told() {
        let mut pot = Pot::default();
        pot.fill(5);
        let hold = Hold { units: 0, time: None };
        for taker in [0, 0, 1, 1, 1] {
            assert!(pot.take(taker, hold));
        }
        assert!(!pot.take(0, hold));
        assert_eq!((pot.longest, pot.taken), (3, 5));
        pot.fill(1);
        assert!(pot.take(1, hold));
        assert_eq!(pot.longest, 1);
    }

    fn shares_add_up(mut race: Box<dyn Run>, parties: usize) {
        for operations in [1_u64, 100, 5_000] {
            let lap = race.lap(operations).unwrap();
            assert_eq!(lap.operations, operations);
            assert_eq!(lap.shares.len(), parties);
            assert!((1..=operations).contains(&lap.longest_streak.unwrap()));
        }
        assert_eq!(race.counted(), Some(5_101));
    }

    #[test]
    fn the_shares_of_every_race_add_up_to_the_work() {
        shares_add_up(short_hold::<Std<Pot>>(&Setup::default(), 3).unwrap(), 3);
        shares_add_up(short_hold::<ParkingLotFair<Pot>>(&Setup::default(), 2).unwrap(), 2);
        shares_add_up(tokio_short_hold(&Setup::default(), 4).unwrap(), 4);
    }
}
