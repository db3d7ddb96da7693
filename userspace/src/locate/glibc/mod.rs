//! The contended paths of glibc's locks, without debug information.

mod kernel_wait;
mod relock;
mod rwlock;
mod sites;
mod spin;
mod timed;
mod update;

use super::{
    code::Body,
    elf::{Function, Image},
    extents::Extents,
    flow::{self, State},
    site::{Generation, Site, Spin, Wait},
};

/// The function that everything begins with.
pub const MUTEX_LOCK: &str = "pthread_mutex_lock";
/// The same source, compiled for the end of a wait on a condition variable. It has no symbol.
pub const COND_LOCK: &str = "__pthread_mutex_cond_lock";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How `pthread_mutex_lock` counts.
    pub generation: Option<Generation>,
    /// How every function counts that spins.
    pub spins: Vec<Spin>,
    /// In no order.
    pub sites: Vec<Site>,
    /// Functions that had to be left out, and why.
    pub left_out: Vec<String>,
}

/// A function that has been decoded and whose lock has been followed.
struct Examined<'a> {
    body: Body<'a>,
    states: Vec<Option<State>>,
}

impl<'a> Examined<'a> {
    fn of(image: &Image<'a>, extents: &Extents, address: u64, size: u64) -> Result<Self, &'static str> {
        let body = Body::decode(image, extents, address, size)?;
        let states = flow::follow(&body)?;
        Ok(Self { body, states })
    }
}

/// Finds all that can be found.
///
/// # Errors
/// Why `pthread_mutex_lock` is not understood. Then nothing else is believed either.
pub fn find(image: &Image<'_>, extents: &Extents) -> Result<Found, String> {
    let functions = image.named(MUTEX_LOCK);
    let [function] = functions.as_slice() else {
        return Err(format!("it has {} functions named {MUTEX_LOCK}", functions.len()));
    };
    let spoil = |reason: &str| format!("{MUTEX_LOCK} {reason}");
    let examined = Examined::of(image, extents, function.address, function.size).map_err(spoil)?;
    let (spin, wait) = mutex(image, extents, &examined).map_err(spoil)?;
    let mut found = Found { generation: Some(spin.generation), ..Found::default() };
    found.add_spin(image, MUTEX_LOCK, &examined, &spin);
    found.add_mutex_waits(image, MUTEX_LOCK, &examined, &spin, wait);
    relock::find(image, extents, wait, &mut found);
    timed::find(image, extents, &mut found);
    rwlock::find(image, extents, &mut found);
    Ok(found)
}

/// The spin of a function like `pthread_mutex_lock`, and the function in which it waits.
fn mutex(
    image: &Image<'_>,
    extents: &Extents,
    examined: &Examined<'_>,
) -> Result<(spin::Spin, u64), &'static str> {
    let spin = spin::find(&examined.body, &examined.states)?.ok_or("never touches __spins")?;
    if spin.ends.len() != 1 {
        return Err("ends its spin in more than one way");
    }
    let (gave_up, _) = spin.gave_up.ok_or("has no last attempt after its spin")?;
    let end = spin.ends[0].place.first;
    let after = examined.body.reachable(gave_up.first, |index| index == end);
    let calls = spin::calls_with_lock(&examined.body, &examined.states);
    let mut waits = calls.iter().filter(|(index, _, offset)| *offset == 0 && after.contains(index));
    let (Some((_, wait, _)), None) = (waits.next(), waits.next()) else {
        return Err("does not call one function to wait after its spin");
    };
    if !kernel_wait::waits(image, extents, *wait) {
        return Err("calls something after its spin that is no wait in the kernel");
    }
    Ok((spin, *wait))
}

/// Where a function passes control on at its end, if only one place comes into question.
fn tail(image: &Image<'_>, extents: &Extents, function: &Function<'_>) -> Option<u64> {
    let body = Body::decode(image, extents, function.address, function.size).ok()?;
    let jumps = body.instructions.iter().filter(|of| of.mnemonic() == iced_x86::Mnemonic::Jmp);
    let mut elsewhere = jumps.filter_map(super::code::branch_target).filter(|target| !body.holds(*target));
    match (elsewhere.next(), elsewhere.next()) {
        (Some(target), None) => Some(target),
        _ => None,
    }
}

impl Found {
    fn add_mutex_waits(
        &mut self,
        image: &Image<'_>,
        function: &str,
        examined: &Examined<'_>,
        spin: &spin::Spin,
        wait: u64,
    ) {
        let end = spin.ends.first().map(|end| end.place.first);
        let gave_up = spin.gave_up.map(|(place, _)| place.first);
        let adaptive =
            gave_up.map(|from| examined.body.reachable(from, |index| Some(index) == end)).unwrap_or_default();
        for (index, target, offset) in spin::calls_with_lock(&examined.body, &examined.states) {
            if target != wait || offset != 0 {
                continue;
            }
            let kind = if adaptive.contains(&index) {
                Some(Wait::Adaptive)
            } else {
                kernel_wait::kind_after(&examined.body, &examined.states, index)
            };
            match kind {
                Some(kind) => self.add_wait(image, function, examined, index, kind),
                None => self.left_out.push(format!(
                    "the wait at {:#x} in {function}: neither an owner nor a count is set after it",
                    examined.body.address(index)
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests;
