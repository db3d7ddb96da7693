//! A counter for each thread of a process that goes on creating threads meanwhile.

use std::collections::BTreeSet;

use super::obstacle::Obstacle;

/// Times that threads are listed and opened anew when one was born meanwhile.
const ATTEMPTS: usize = 50;

/// The threads of a process.
pub trait People {
    /// Those that it has now.
    fn list(&self) -> Vec<u32>;
    /// True if it is still the same process.
    fn are_same(&self) -> bool;
}

/// Opens a counter for all threads of a process. A thread that is born meanwhile has inherited the counter or not, by
/// whether its parent's was open, and that cannot be told from outside: then all are closed and opened anew.
pub fn cover<T>(
    people: &impl People,
    open: impl Fn(u32) -> Result<T, Obstacle>,
    room: usize,
) -> Result<Vec<T>, Obstacle> {
    for _ in 0..ATTEMPTS {
        let listed = BTreeSet::from_iter(people.list());
        let mut threads = Vec::with_capacity(listed.len());
        for tid in &listed {
            match open(*tid) {
                // Found out only now: a counter that does not exist takes no room.
                Ok(_) if listed.len() > room => return Err(Obstacle::Descriptors),
                Ok(counter) => threads.push(counter),
                Err(Obstacle::Ended) => {}
                Err(obstacle) => return Err(obstacle),
            }
        }
        if threads.is_empty() || !people.are_same() {
            return Err(Obstacle::Gone);
        }
        if people.list().iter().all(|tid| listed.contains(tid)) {
            return Ok(threads);
        }
    }
    Err(Obstacle::Restless)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Threads that each look finds; the last list stays.
    struct Looks(&'static [&'static [u32]], Cell<usize>);

    impl Looks {
        fn new(looks: &'static [&'static [u32]]) -> Self {
            Self(looks, Cell::new(0))
        }
    }

    impl People for Looks {
        fn list(&self) -> Vec<u32> {
            let look = self.1.get().min(self.0.len() - 1);
            self.1.set(self.1.get() + 1);
            self.0[look].to_vec()
        }

        fn are_same(&self) -> bool {
            true
        }
    }

    /// Threads run through all numbers.
    struct Churn(Cell<u32>);

    impl People for Churn {
        fn list(&self) -> Vec<u32> {
            self.0.set(self.0.get() + 1);
            vec![self.0.get()]
        }

        fn are_same(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_birth_makes_it_begin_anew_and_a_death_does_not() {
        // One is born while two are opened, then one dies while three are.
        let looks = Looks::new(&[&[1, 2], &[1, 2, 3], &[1, 2, 3], &[1, 3]]);
        let opened = Cell::new(0);
        let open = |tid| {
            opened.set(opened.get() + 1);
            Ok(tid)
        };
        assert_eq!(cover(&looks, open, 9).ok(), Some(vec![1, 2, 3]));
        assert_eq!(opened.get(), 5, "what was open before the birth is closed");
    }

    #[test]
    fn a_thread_that_has_ended_is_passed_over() {
        let looks = Looks::new(&[&[1, 2]]);
        let open = |tid| if tid == 1 { Err(Obstacle::Ended) } else { Ok(tid) };
        assert_eq!(cover(&looks, open, 9).ok(), Some(vec![2]));
        let ended = |_| Err::<u32, _>(Obstacle::Ended);
        assert!(matches!(cover(&looks, ended, 9), Err(Obstacle::Gone)));
    }

    #[test]
    fn without_rest_or_room_there_is_no_counter() {
        assert!(matches!(cover(&Churn(Cell::new(0)), Ok, 9), Err(Obstacle::Restless)));
        assert!(matches!(cover(&Looks::new(&[&[1, 2, 3]]), Ok, 2), Err(Obstacle::Descriptors)));
        let unknown = |_| Err::<u32, _>(Obstacle::ChildrenToo);
        assert!(matches!(cover(&Looks::new(&[&[1, 2, 3]]), unknown, 2), Err(Obstacle::ChildrenToo)));
    }
}
