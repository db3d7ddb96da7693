//! A stack as it is merged: places in files, not addresses, so that two processes of one program have the same.

use serde::{Deserialize, Serialize};

use std::sync::Arc;

use super::{
    frame::Frame,
    modules::{ModuleId, Modules},
    names::Named,
    unwind::Reached,
};

/// A place in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spot {
    /// The file, or the memory, that holds the code.
    pub module: ModuleId,
    /// Offset in that module.
    pub offset: u64,
    /// Method by which it was found.
    pub reached: Reached,
}

/// Ending of a stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum End {
    /// At the entry of the thread.
    Complete,
    /// At the end of what was copied: there are more frames.
    CutByCopy,
    /// In code of this module that no unwind information covers, and that no frame pointer led out of.
    NoUnwindInfo(Arc<str>),
    /// In code of this module whose frame depends on a register that was not taken.
    UnknownRegister(Arc<str>),
    /// At an address that cannot be one of a caller: memory was changing, or the unwind information is wrong.
    Implausible,
    /// Before it began: the process could not be observed.
    Unobserved,
    /// Before it began: the process that reads files of others has failed over one of its own.
    Unread,
}

/// The frames of a thread, the innermost first. Equal stacks are equal values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stack {
    /// Places in code.
    pub frames: Vec<Spot>,
    /// Reason for which there are no more.
    pub end: End,
}

impl End {
    /// Reason for which the outermost frame is not the entry of its thread, in words; `None` where it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        Some(match self {
            Self::Complete => return None,
            Self::CutByCopy => "deeper than what was copied".to_owned(),
            Self::NoUnwindInfo(module) => format!("no unwind information in {module}"),
            Self::UnknownRegister(module) => format!("the frame is unknown in {module}"),
            Self::Implausible => "what follows is no caller".to_owned(),
            Self::Unobserved => "the process ended before its code was known".to_owned(),
            Self::Unread => "a file with its code could not be read".to_owned(),
        })
    }
}

impl Stack {
    /// Of a process that nothing is known of.
    #[must_use]
    pub fn unobserved() -> Self {
        Self { frames: Vec::new(), end: End::Unobserved }
    }

    /// Of a process one of whose files could not be read.
    #[must_use]
    pub fn unread() -> Self {
        Self { frames: Vec::new(), end: End::Unread }
    }
}

/// The functions at a place, innermost first; at least one.
pub(super) fn frames_at(modules: &mut Modules, spot: Spot) -> Vec<Frame> {
    let pool = modules.pool.clone();
    let Some(module) = modules.get_mut(spot.module) else { return Vec::new() };
    // A return address belongs to the call before it, which may be the last instruction of its function.
    let asked = if spot.reached == Reached::Here { spot.offset } else { spot.offset.saturating_sub(1) };
    let (address, named) = module.named(spot.offset, asked, &pool).unwrap_or((spot.offset, Vec::new()));
    let is_certain = spot.reached != Reached::FramePointer;
    let frame = |named: Named| Frame {
        offset: named.start.and_then(|start| address.checked_sub(start)),
        function: named.function,
        module: module.name.clone(),
        address,
        location: named.location,
        inlined: named.inlined,
        is_certain,
    };
    let nameless = Named { function: None, start: None, location: None, inlined: false };
    let named = if named.is_empty() { vec![nameless] } else { named };
    named.into_iter().map(frame).collect()
}
