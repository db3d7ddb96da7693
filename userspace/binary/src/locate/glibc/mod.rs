//! The contended paths of glibc's locks, without debug information.

mod calls;
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
    landmarks::Landmarks,
    site::{Generation, Site, Spin},
};

/// The function that everything begins with.
pub const MUTEX_LOCK: &str = "pthread_mutex_lock";
/// The same source, compiled for the end of a wait on a condition variable. It has no symbol.
pub const COND_LOCK: &str = "__pthread_mutex_cond_lock";

/// Sites and spins of one glibc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Counting of spins in `pthread_mutex_lock`.
    pub generation: Option<Generation>,
    /// Counting of spins in every function that spins.
    pub spins: Vec<Spin>,
    /// In no order.
    pub sites: Vec<Site>,
    /// Sites that every call passes, contended or not.
    pub calls: Vec<Site>,
    /// Of the functions that debug information can be compared with.
    pub landmarks: Vec<Landmarks>,
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
/// The reason for which `pthread_mutex_lock` is not understood. Then nothing else is believed either.
pub fn find(image: &Image<'_>, extents: &Extents) -> Result<Found, String> {
    let functions = image.named(MUTEX_LOCK);
    let [function] = functions.as_slice() else {
        return Err(format!("it has {} functions named {MUTEX_LOCK}", functions.len()));
    };
    let spoil = |reason: &str| format!("{MUTEX_LOCK} {reason}");
    let examined = Examined::of(image, extents, function.address, function.size).map_err(spoil)?;
    let (spin, wait) = mutex(image, extents, &examined).map_err(spoil)?;
    let mut found = Found { generation: Some(spin.generation), ..Found::default() };
    found.add_mutex(image, MUTEX_LOCK, &examined, &spin, wait);
    relock::find(image, extents, wait, &mut found);
    timed::find(image, extents, &mut found);
    rwlock::find(image, extents, &mut found);
    calls::find(image, extents, &mut found);
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

/// Address to which a function passes control at its end, if only one comes into question.
fn tail(image: &Image<'_>, extents: &Extents, function: &Function<'_>) -> Option<u64> {
    let body = Body::decode(image, extents, function.address, function.size).ok()?;
    let jumps = body.instructions.iter().filter(|of| of.mnemonic() == iced_x86::Mnemonic::Jmp);
    let mut elsewhere = jumps.filter_map(super::code::branch_target).filter(|target| !body.holds(*target));
    match (elsewhere.next(), elsewhere.next()) {
        (Some(target), None) => Some(target),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
