//! The locks, behind one face.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};

use pulse_trace_workloads::sys::{
    condition::Condition,
    pthread::{Attributes, Kind as PthreadKind, PthreadMutex},
};

use crate::args::Kind;

/// One lock of the kind under test.
pub enum Lock {
    Pthread(Box<PthreadMutex>),
    Std(Box<Mutex<()>>),
    ParkingLot(Box<parking_lot::Mutex<()>>),
}

impl Lock {
    pub fn new(kind: Kind) -> io::Result<Self> {
        let pthread = |robust, inherit| {
            let mut mutex = Box::new(PthreadMutex::new());
            mutex.init(Attributes { kind: PthreadKind::Normal, robust, inherit })?;
            Ok(Self::Pthread(mutex))
        };
        match kind {
            // Of the process alone, as most are.
            Kind::Pthread => Ok(Self::Pthread(Box::new(PthreadMutex::new()))),
            Kind::Pi => pthread(false, true),
            Kind::Robust => pthread(true, false),
            Kind::Std => Ok(Self::Std(Box::default())),
            Kind::ParkingLot => Ok(Self::ParkingLot(Box::default())),
        }
    }

    #[inline(always)]
    pub fn with(&self, section: impl FnOnce()) -> io::Result<()> {
        match self {
            Self::Pthread(mutex) => mutex.with(section).map(drop),
            Self::Std(mutex) => {
                let _held = mutex.lock().unwrap_or_else(PoisonError::into_inner);
                section();
                Ok(())
            }
            Self::ParkingLot(mutex) => {
                let _held = mutex.lock();
                section();
                Ok(())
            }
        }
    }

    pub fn address(&self) -> u64 {
        let address = match self {
            Self::Pthread(mutex) => std::ptr::from_ref(&**mutex).addr(),
            Self::Std(mutex) => std::ptr::from_ref(&**mutex).addr(),
            Self::ParkingLot(mutex) => std::ptr::from_ref(&**mutex).addr(),
        };
        address as u64
    }
}

/// The end of the work, as the idle thread waits for it.
pub enum End {
    Pthread(Condition),
    Std(Mutex<bool>, Condvar),
    ParkingLot(parking_lot::Mutex<bool>, parking_lot::Condvar),
}

impl End {
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Pthread | Kind::Pi | Kind::Robust => Self::Pthread(Condition::new()),
            Kind::Std => Self::Std(Mutex::default(), Condvar::new()),
            Kind::ParkingLot => Self::ParkingLot(parking_lot::Mutex::default(), parking_lot::Condvar::new()),
        }
    }

    #[inline(never)]
    pub fn wait(&self) {
        match self {
            Self::Pthread(condition) => condition.wait(),
            Self::Std(mutex, condition) => {
                let over = mutex.lock().unwrap_or_else(PoisonError::into_inner);
                drop(condition.wait_while(over, |over| !*over));
            }
            Self::ParkingLot(mutex, condition) => condition.wait_while(&mut mutex.lock(), |over| !*over),
        }
    }

    pub fn come(&self) {
        match self {
            Self::Pthread(condition) => condition.come(),
            Self::Std(mutex, condition) => {
                *mutex.lock().unwrap_or_else(PoisonError::into_inner) = true;
                condition.notify_all();
            }
            Self::ParkingLot(mutex, condition) => {
                *mutex.lock() = true;
                condition.notify_all();
            }
        }
    }
}
