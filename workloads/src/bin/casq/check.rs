//! Checks that a round kept its promises: every message once, in order, and every death accounted for.

use serde::Serialize;

use crate::args::{Options, Queue};
use crate::case::Case;
use crate::round::Round;

/// The books of one or more rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Books {
    /// Published by the producers, warm-up included.
    pub sent: u64,
    pub received: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupt: u64,
    /// Slots given up because their producer died between reserving and publishing.
    pub given_up: u64,
    /// Locks taken over from a dead owner.
    pub locks_recovered: u64,
    /// Producers that died, and those that the given-up slots can belong to.
    pub dead: Vec<u32>,
    pub suspects: Vec<u32>,
}

impl Books {
    pub fn of(round: &Round) -> Self {
        let mut books = Self {
            given_up: round.received.given_up,
            locks_recovered: round.received.locks_recovered,
            suspects: round.received.suspects.clone(),
            ..Self::default()
        };
        for (id, (ledger, sent)) in round.received.ledgers.iter().zip(&round.sent).enumerate() {
            // A producer can die between publishing and saying so: then what arrived was sent.
            let died = round.produced[id].is_none();
            books.sent += if died { (*sent).max(ledger.received) } else { *sent };
            books.received += ledger.received;
            books.lost += ledger.lost(*sent);
            books.duplicated += ledger.duplicated;
            books.reordered += ledger.reordered;
            books.corrupt += ledger.corrupt;
            if died {
                books.dead.push(id as u32);
            }
        }
        books
    }

    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupt += other.corrupt;
        self.given_up += other.given_up;
        self.locks_recovered += other.locks_recovered;
        self.dead.extend(&other.dead);
        self.suspects.extend(&other.suspects);
    }

    /// Nothing lost, nothing twice, nothing out of order, nothing torn; and what was received was sent.
    fn exactly_once(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.corrupt == 0 && self.received == self.sent
    }
}

/// True when a round did what it should.
pub fn holds(case: &Case, options: &Options, round: &Round, interrupted: bool) -> bool {
    let books = Books::of(round);
    let deaths: Vec<u32> = options.kill.into_iter().collect();
    let complete = round.produced.iter().flatten().all(|one| one.measured == case.share(options, one.id));
    // A push cut short by death leaves at most one batch behind; that of --kill leaves exactly one slot, or the lock.
    let accounted = match (options.kill.is_some() && !interrupted, case.queue) {
        (true, Queue::Mutex) => books.locks_recovered == 1 && books.given_up == 0,
        (true, _) => books.given_up == 1 && books.suspects == books.dead,
        (false, _) => books.given_up <= books.dead.len() as u64 * u64::from(options.batch),
    };
    books.exactly_once() && accounted && (interrupted || (books.dead == deaths && complete))
}
