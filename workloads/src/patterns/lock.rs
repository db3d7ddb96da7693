//! The locks that threads fight for, behind one small trait.

use std::sync::{Mutex, PoisonError, TryLockError};

/// A lock around a value.
pub trait Lock<T>: Send + Sync + 'static {
    /// A free lock.
    fn new(value: T) -> Self;
    /// Locks, works on the value, unlocks.
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R;
    /// The same if the lock is free.
    fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R>;
}

/// The standard library's mutex.
pub struct Std<T>(Mutex<T>);

impl<T: Send + 'static> Lock<T> for Std<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[inline]
    fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        match self.0.try_lock() {
            Ok(mut guard) => Some(work(&mut guard)),
            Err(TryLockError::Poisoned(poisoned)) => Some(work(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// `parking_lot`'s mutex. From 0.13 on it is not fair of its own accord.
pub struct ParkingLot<T>(parking_lot::Mutex<T>);

impl<T: Send + 'static> Lock<T> for ParkingLot<T> {
    fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock())
    }

    #[inline]
    fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.try_lock().map(|mut guard| work(&mut guard))
    }
}

/// `parking_lot`'s mutex of 0.12, the last that is eventually fair: it hands the lock over about every half
/// millisecond, and after every hold of more than one.
pub struct ParkingLot012<T>(parking_lot_0_12::Mutex<T>);

impl<T: Send + 'static> Lock<T> for ParkingLot012<T> {
    fn new(value: T) -> Self {
        Self(parking_lot_0_12::Mutex::new(value))
    }

    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock())
    }

    #[inline]
    fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.try_lock().map(|mut guard| work(&mut guard))
    }
}

/// `parking_lot`'s mutex, handed to the first waiter at every unlock.
pub struct ParkingLotFair<T>(parking_lot::Mutex<T>);

impl<T: Send + 'static> Lock<T> for ParkingLotFair<T> {
    fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut guard = self.0.lock();
        let result = work(&mut guard);
        parking_lot::MutexGuard::unlock_fair(guard);
        result
    }

    #[inline]
    fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut guard = self.0.try_lock()?;
        let result = work(&mut guard);
        parking_lot::MutexGuard::unlock_fair(guard);
        Some(result)
    }
}

/// Tries before an adaptive lock stops spinning.
const SPIN_LIMIT: u32 = 100;

/// Spin a while, then park: the published sketch of adaptive spinning, with the standard mutex to park in.
pub struct Adaptive<T>(Std<T>);

impl<T: Send + 'static> Lock<T> for Adaptive<T> {
    fn new(value: T) -> Self {
        Self(Std::new(value))
    }

    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut spins = 0;
        loop {
            match self.0.0.try_lock() {
                Ok(mut guard) => return work(&mut guard),
                Err(TryLockError::Poisoned(poisoned)) => return work(&mut poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if spins < SPIN_LIMIT => {
                    spins += 1;
                    std::hint::spin_loop();
                }
                Err(TryLockError::WouldBlock) => return self.0.with(work),
            }
        }
    }

    #[inline]
    fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.try_with(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes<L: Lock<u64>>() {
        let lock = L::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        if lock.try_with(|value| *value += 1).is_none() {
                            lock.with(|value| *value += 1);
                        }
                    }
                });
            }
        });
        assert_eq!(lock.with(|value| *value), 20_000);
        let inner = lock.with(|_| lock.try_with(|_| ()));
        assert!(inner.is_none(), "a held lock was taken twice");
    }

    #[test]
    fn every_lock_excludes() {
        excludes::<Std<u64>>();
        excludes::<ParkingLot<u64>>();
        excludes::<ParkingLot012<u64>>();
        excludes::<ParkingLotFair<u64>>();
        excludes::<Adaptive<u64>>();
    }
}
