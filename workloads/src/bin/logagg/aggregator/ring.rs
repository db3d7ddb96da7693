//! Receiving from a ring in shared memory.

use super::super::transport::{Framing, Got, LOOK, RingInlet};
use super::desk::{Desk, Reception};

/// Looks that find nothing before a poller sleeps.
pub const TURNS: u32 = 50;

/// State of a receiver of a ring: every slot holds whole lines.
pub fn reception() -> Reception {
    Reception::new(Framing::Messages)
}

/// Receives in the calling thread until nothing more will come.
pub fn receive_all(desk: &Desk, mut ring: RingInlet) {
    let mut reception = reception();
    while let Some(idle) = receive(desk, &mut ring, &mut reception) {
        if idle {
            ring.wait(LOOK);
        }
    }
}

/// Looks once; answers whether there was nothing, and none at the end.
pub fn receive(desk: &Desk, ring: &mut RingInlet, reception: &mut Reception) -> Option<bool> {
    // Asked first: what was pushed before the end was told is then seen by the look.
    let finishing = desk.finishing();
    reception.begin();
    match ring.receive(&mut reception.buffer) {
        Ok(Got::Bytes(count)) => desk.take(reception, Ok(count)).then_some(false),
        Ok(Got::Torn) => {
            desk.torn();
            Some(false)
        }
        Ok(Got::Pending) => Some(true),
        Ok(Got::Empty) => (!finishing).then_some(true),
        Err(error) => {
            desk.note(&error.to_string());
            None
        }
    }
}
