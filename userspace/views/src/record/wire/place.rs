//! Wire format of a lock's place, its kind, and the stacks of its users.

use model::{
    locks::{self, StackCount},
    valid::is_default,
};
use serde::{Deserialize, Serialize};

use super::text_weight;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockPlace {
    Private { address: u64 },
    Shared { device: u64, inode: u64, offset: u64, path: String },
    Unresolved { address: u64 },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MutexKind {
    pub form: u8,
    #[serde(skip_serializing_if = "is_default")]
    pub robust: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub inherits: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub protects: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub shared: bool,
}

impl LockPlace {
    /// Bytes that it takes in a line, at most.
    pub fn weight(&self) -> usize {
        let path = if let Self::Shared { path, .. } = self { text_weight(path) } else { 0 };
        140 + path
    }
}

/// Bytes that a stack takes in a line, at most.
pub fn stack_weight(stack: &StackCount) -> usize {
    let texts = stack.frames.iter().chain(&stack.caller).chain(&stack.cut);
    80 + texts.map(|text| text_weight(text)).sum::<usize>()
}

impl From<&locks::LockPlace> for LockPlace {
    fn from(place: &locks::LockPlace) -> Self {
        match place.clone() {
            locks::LockPlace::Private { address } => Self::Private { address },
            locks::LockPlace::Shared { device, inode, offset, path } => {
                Self::Shared { device, inode, offset, path }
            }
            locks::LockPlace::Unresolved { address } => Self::Unresolved { address },
        }
    }
}

impl From<LockPlace> for locks::LockPlace {
    fn from(place: LockPlace) -> Self {
        match place {
            LockPlace::Private { address } => Self::Private { address },
            LockPlace::Shared { device, inode, offset, path } => Self::Shared { device, inode, offset, path },
            LockPlace::Unresolved { address } => Self::Unresolved { address },
        }
    }
}

impl From<locks::MutexKind> for MutexKind {
    fn from(kind: locks::MutexKind) -> Self {
        let locks::MutexKind { form, robust, inherits, protects, shared } = kind;
        Self { form, robust, inherits, protects, shared }
    }
}

impl From<MutexKind> for locks::MutexKind {
    fn from(kind: MutexKind) -> Self {
        let MutexKind { form, robust, inherits, protects, shared } = kind;
        Self { form, robust, inherits, protects, shared }
    }
}
