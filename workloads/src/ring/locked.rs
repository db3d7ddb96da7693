//! The `mutex` kind: the same ring, every step under one process-shared robust lock.
//!
//! The tail moves last, so a push cut short by death leaves nothing visible: the next owner of the lock has nothing to
//! repair and only counts that it took over.

use std::mem;

use super::area::Area;
use super::consumer::{Consumer, Popped};
use super::geometry::word;
use super::producer::{Producer, PushError};
use crate::atomic::{Relaxed, Release};
use crate::sys::robust::RobustGuard;

impl Area {
    fn lock(&self) -> Option<RobustGuard<'_>> {
        let guard = self.backing.locks()[0].lock().ok()?;
        if guard.recovered() {
            self.word(word::RECOVERED).fetch_add(1, Relaxed);
        }
        Some(guard)
    }
}

impl Producer {
    pub(super) fn push_locked(&mut self, messages: &[u8], size: usize, count: u64) -> Result<(), PushError> {
        let area = &self.area;
        let _guard = area.lock().ok_or(PushError::Broken)?;
        let (tail, head) = (area.word(word::TAIL).load(Relaxed), area.word(word::HEAD).load(Relaxed));
        if tail + count > head + area.layout.geometry.slots {
            return Err(PushError::Full);
        }
        for nth in 0..count {
            let from = nth as usize * size;
            area.write(tail + nth, self.id, &messages[from..from + size]);
        }
        area.word(word::TAIL).store(tail + count, Release);
        Ok(())
    }

    pub(super) fn abandon_lock(&mut self) -> Result<(), PushError> {
        let guard = self.area.lock().ok_or(PushError::Broken)?;
        mem::forget(guard);
        Ok(())
    }
}

impl Consumer {
    pub(super) fn pop_locked(&mut self, out: &mut Vec<u8>) -> Popped {
        let area = &self.area;
        let Some(_guard) = area.lock() else { return Popped::Broken };
        if area.word(word::TAIL).load(Relaxed) == self.head {
            return Popped::Empty;
        }
        let producer = area.read(self.head, out);
        self.head += 1;
        area.word(word::HEAD).store(self.head, Release);
        Popped::Message(producer)
    }
}
