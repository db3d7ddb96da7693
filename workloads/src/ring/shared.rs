//! A ring in memory that several processes map.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::alive::start_time;
use super::area::Area;
use super::consumer::Consumer;
use super::geometry::{Geometry, Kind, Layout, MAGIC, record, word};
use super::producer::Producer;
use crate::atomic::{Acquire, Relaxed, Release};
use crate::contract::{Refusal, cannot};
use crate::sys::shm::{self, Shape, SharedMap};

const LOCKS: usize = 1;
/// Futex words of the blocking ends: one says that the consumer sleeps, the other that producers do.
const CELLS: usize = 2;

/// A ring in shared memory, and words beside it for the caller's own use.
#[derive(Clone, Debug)]
pub struct SharedRing {
    area: Arc<Area>,
    extra: usize,
}

impl SharedRing {
    /// Bytes that a file for this ring with `extra` words needs.
    ///
    /// # Errors
    ///
    /// The geometry is impossible.
    pub fn bytes(geometry: Geometry, extra: usize) -> Result<usize, Refusal> {
        Self::shape(geometry.layout()?, extra).bytes().ok_or_else(|| {
            cannot("size the ring", "it does not fit the address space", "use fewer or smaller slots")
        })
    }

    fn shape(layout: Layout, extra: usize) -> Shape {
        Shape { locks: LOCKS, cells: CELLS, words: layout.words.saturating_add(extra) }
    }

    /// Makes a ring in unnamed shared memory. Hand the file to other processes as a descriptor; nothing is left behind,
    /// even if they are killed.
    ///
    /// # Errors
    ///
    /// The geometry is impossible, or `/dev/shm` has no room for it.
    pub fn create(geometry: Geometry, extra: usize) -> Result<(Self, File), Refusal> {
        let bytes = Self::bytes(geometry, extra)?;
        let file = shm::unnamed(bytes).map_err(|error| {
            cannot(
                format_args!("get {bytes} bytes of shared memory"),
                error,
                "free space in /dev/shm, or use fewer or smaller slots",
            )
        })?;
        Ok((Self::create_in(&file, geometry, extra)?, file))
    }

    /// Makes a ring in a file of the caller, which must be new (all zero) and large enough (see [`Self::bytes`]).
    ///
    /// # Errors
    ///
    /// The geometry is impossible, or the file cannot be mapped.
    pub fn create_in(file: &File, geometry: Geometry, extra: usize) -> Result<Self, Refusal> {
        let layout = geometry.layout()?;
        let remedy = "give it a new file of the right size in /dev/shm";
        let map = SharedMap::of(file, Self::shape(layout, extra))
            .map_err(|error| cannot("map the ring", error, remedy))?;
        for lock in map.locks() {
            lock.init().map_err(|error| cannot("make the ring's lock", error, remedy))?;
        }
        let area = Area { backing: map, layout };
        area.format();
        Ok(Self { area: Arc::new(area), extra })
    }

    /// Maps a ring that another process made.
    ///
    /// # Errors
    ///
    /// The file holds no ring of this version.
    pub fn attach(file: &File) -> Result<Self, Refusal> {
        let strange = |cause: &str| {
            cannot(
                "attach to the ring",
                cause,
                "give it the memory of a ring made by the same version of this program",
            )
        };
        let length = file.metadata().map_err(|error| strange(&error.to_string()))?.len() as usize;
        let lines = Shape { locks: LOCKS, cells: CELLS, words: 0 }.bytes().unwrap_or(0);
        let words = length.saturating_sub(lines) / 8;
        if words < word::RECORDS {
            return Err(strange("the file is too short"));
        }
        let shape = Shape { locks: LOCKS, cells: CELLS, words };
        let map = SharedMap::of(file, shape).map_err(|error| strange(&error.to_string()))?;
        let layout = Self::geometry_of(map.words()).ok_or_else(|| strange("it is none"))?.layout()?;
        let extra = words.checked_sub(layout.words).ok_or_else(|| strange("the file is too short"))?;
        Ok(Self { area: Arc::new(Area { backing: map, layout }), extra })
    }

    fn geometry_of(words: &[AtomicU64]) -> Option<Geometry> {
        if words[word::MAGIC].load(Acquire) != MAGIC {
            return None;
        }
        let number = |index: usize| words[index].load(Relaxed);
        Some(Geometry {
            kind: Kind::ALL.into_iter().find(|kind| *kind as u64 == number(word::KIND))?,
            slots: number(word::SLOTS),
            payload: usize::try_from(number(word::PAYLOAD)).ok()?,
            producers: u32::try_from(number(word::PRODUCERS)).ok()?,
            batch: u32::try_from(number(word::BATCH)).ok()?,
        })
    }

    /// Dimensions that the ring was made with.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.area.layout.geometry
    }

    /// The caller's own words beside the ring.
    #[must_use]
    pub fn extra(&self) -> &[AtomicU64] {
        let from = self.area.layout.words;
        &self.area.backing.words()[from..from + self.extra]
    }

    /// Registers this process as producer `id`.
    ///
    /// # Errors
    ///
    /// The ring has no such id, or a living process has it, or one that died inside a push had it.
    pub fn producer(&self, id: u32) -> Result<Producer, Refusal> {
        let refuse =
            |cause: &str, remedy: &str| Err(cannot(format_args!("register producer {id}"), cause, remedy));
        if id >= self.geometry().producers {
            return refuse("the ring was made for fewer producers", "use a lower id");
        }
        let me = u64::from(std::process::id());
        let (pid, _) = self.area.owner(id);
        if pid != 0 && pid != me && self.alive(id) {
            return refuse("a living process has that id", "use another id");
        }
        // Its record is what tells the consumer whose slot it waits for.
        if !self.area.activity(id).load(Acquire).is_multiple_of(2) {
            return refuse("its last owner died inside a push", "use another id");
        }
        let at = self.area.layout.record(id);
        self.area.word(at + record::START).store(start_time(me).unwrap_or(0), Relaxed);
        self.area.word(at + record::PID).store(me, Release);
        let head_seen = self.area.word(word::HEAD).load(Acquire);
        Ok(Producer { area: Arc::clone(&self.area), id, head_seen })
    }

    /// Reports whether the process registered as producer `id` lives.
    #[must_use]
    pub fn alive(&self, id: u32) -> bool {
        let (pid, start) = self.area.owner(id);
        pid != 0 && start_time(pid) == Some(start)
    }

    /// The receiving end. There must be one at a time: the caller sees to that.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        Consumer::new(Arc::clone(&self.area))
    }

    pub(super) fn data_cell(area: &Area) -> &AtomicU32 {
        &area.backing.cells()[0]
    }

    pub(super) fn room_cell(area: &Area) -> &AtomicU32 {
        &area.backing.cells()[1]
    }
}
