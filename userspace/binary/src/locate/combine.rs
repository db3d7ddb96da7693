//! Two methods, one answer: what the code says and what its debug information says must be the same.

use super::{
    code::Body,
    debug_file::{self, DebugFiles},
    dwarf,
    elf::Image,
    extents::Extents,
    glibc::{self, COND_LOCK, MUTEX_LOCK},
    landmarks::{Landmarks, Verdict, compare},
    site::{FoundBy, Role, Site, Spin, Wait},
};

/// A function and what the comparison says about it.
pub type Check = (&'static str, Verdict);

/// Finds the sites of a glibc by both methods and keeps those that nothing speaks against.
///
/// # Errors
/// The reason for which nothing is believed.
pub fn find(image: &Image<'_>, debug: &dyn DebugFiles) -> (Vec<Check>, Result<glibc::Found, String>) {
    let extents = Extents::of(image);
    let by_dwarf = by_debug_information(image, debug);
    let (mut found, not_understood) = match glibc::find(image, &extents) {
        Ok(found) => (found, None),
        Err(reason) => (glibc::Found::default(), Some(reason)),
    };
    let mut checks = Vec::new();
    for function in [MUTEX_LOCK, COND_LOCK] {
        let signature = found.landmarks.iter().find(|of| of.function == function).cloned();
        let dwarf = by_dwarf.as_ref().map(|all| all.iter().find(|of| of.landmarks.function == function));
        let verdict = match (&signature, dwarf) {
            (Some(signature), Ok(Some(dwarf))) => compare(signature, &dwarf.landmarks, dwarf.count_lost),
            (Some(_), Ok(None)) => Verdict::NoDwarf("it does not describe the function".into()),
            (Some(_), Err(reason)) => Verdict::NoDwarf(reason.clone()),
            (None, Ok(Some(dwarf))) => {
                let reason = not_understood.clone().unwrap_or_else(|| "no function looks like it".into());
                match from_dwarf(image, &extents, &dwarf.landmarks) {
                    Some(sites) => {
                        let generation = dwarf.landmarks.generation;
                        found.spins.push(Spin { function: function.into(), generation });
                        found.sites.extend(sites);
                    }
                    None => return (checks, Err(reason)),
                }
                Verdict::NoSignature(reason)
            }
            (None, _) => match &not_understood {
                Some(reason) => return (checks, Err(reason.clone())),
                None => continue,
            },
        };
        if let Err(reason) = apply(&mut found, function, &verdict) {
            checks.push((function, verdict));
            return (checks, Err(reason));
        }
        checks.push((function, verdict));
    }
    let lock = found.spins.iter().find(|spin| spin.function == MUTEX_LOCK);
    found.generation = lock.map(|spin| spin.generation);
    (checks, Ok(found))
}

/// Applies a verdict to the sites of a function.
fn apply(found: &mut glibc::Found, function: &str, verdict: &Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Agree | Verdict::AgreeButCountLost => {
            // Nothing in debug information tells where the branch behind the last attempt is.
            let compared = |site: &&mut Site| site.function == function && site.role != Role::LastAttempt;
            let own = found.sites.iter_mut().filter(compared);
            own.for_each(|site| site.found_by = FoundBy::Both);
        }
        Verdict::Disagree(points) => {
            let reason = format!("the code of {function} and its debug information disagree: {points}");
            if function == MUTEX_LOCK {
                return Err(reason);
            }
            found.sites.retain(|site| site.function != function);
            found.spins.retain(|spin| spin.function != function);
            found.calls.retain(|site| site.function != function);
            found.left_out.push(format!("{function}: {reason}"));
        }
        Verdict::NoDwarf(_) | Verdict::NoSignature(_) => {}
    }
    Ok(())
}

fn by_debug_information(image: &Image<'_>, debug: &dyn DebugFiles) -> Result<Vec<dwarf::Found>, String> {
    if image.section(".debug_info").is_some() {
        return dwarf::find(image);
    }
    let wanted = debug_file::wanted(image);
    let candidates = debug.candidates(&wanted);
    let Some(bytes) = candidates.iter().find(|bytes| debug_file::fits(&wanted, bytes)) else {
        return Err("there is no debug file".into());
    };
    let debug_image = Image::parse(bytes).map_err(|error| error.to_string())?;
    dwarf::find(&debug_image)
}

/// Sites by debug information alone: beginnings of statements or blocks, and the calls before the places to which waits
/// return. The code adds the cost of a probe there, and the register of the lock if its flow can be followed.
fn from_dwarf(image: &Image<'_>, extents: &Extents, of: &Landmarks) -> Option<Vec<Site>> {
    let body = Body::decode_alone(image, of.range.0, of.range.1.checked_sub(of.range.0)?).ok()?;
    let states = Body::decode(image, extents, of.range.0, of.range.1 - of.range.0);
    let states = states.ok().and_then(|body| super::flow::follow(&body).ok());
    let site = |role: Role, index: usize, count_register| {
        let address = body.address(index);
        let state = states.as_ref().and_then(|states| states.get(index)?.as_ref());
        Some(Site {
            role,
            function: of.function.into(),
            address,
            file_offset: image.offset_of(address)?,
            class: body.class(index),
            count_register,
            lock: state.and_then(super::flow::State::lock_pointer),
            found_by: FoundBy::Dwarf,
        })
    };
    let call_before = |address: u64| {
        let mut calls = body.instructions.iter().enumerate();
        let (index, call) = calls.find(|(_, of)| of.next_ip() == address)?;
        super::code::call_target(call).map(|_| index)
    };
    let adaptive = Role::KernelWait(Wait::Adaptive);
    let sites = vec![
        site(Role::Contended, body.at(of.contended)?, None)?,
        site(Role::SpinEnd, body.at(of.spin_end)?, Some(of.count?))?,
        site(Role::GaveUp, body.at(of.gave_up)?, None)?,
        site(adaptive, call_before(of.adaptive_return)?, None)?,
    ];
    sites.iter().all(|site| site.class.typical_ns().is_some()).then_some(sites)
}
