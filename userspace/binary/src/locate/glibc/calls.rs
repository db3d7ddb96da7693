//! Sites that every call of a function that takes or releases a mutex passes, contended or not: at its beginning.

use iced_x86::InstructionInfoFactory;

use super::{COND_LOCK, Found, MUTEX_LOCK};
use crate::locate::{
    code::{Body, call_target},
    elf::Image,
    extents::Extents,
    flow::written,
    instruction::{Class, classify},
    register::Reg,
    site::{Call, FoundBy, LockPointer, Role, Site},
};

const NAMES: [(&str, Call); 8] = [
    (MUTEX_LOCK, Call::Lock),
    ("pthread_mutex_timedlock", Call::Timed),
    ("pthread_mutex_clocklock", Call::Timed),
    ("pthread_mutex_trylock", Call::Try),
    ("pthread_mutex_unlock", Call::Unlock),
    ("pthread_cond_wait", Call::Wait),
    ("pthread_cond_timedwait", Call::Wait),
    ("pthread_cond_clockwait", Call::Wait),
];

/// Adds them to what was found of contended acquisitions: it tells where the function without a symbol is.
pub fn find(image: &Image<'_>, extents: &Extents, found: &mut Found) {
    let named = NAMES.into_iter().flat_map(|(name, call)| {
        image.named(name).into_iter().map(move |function| (name, call, function.address, function.size))
    });
    let relock = found.landmarks.iter().find(|of| of.function == COND_LOCK);
    let relock = relock.map(|of| (COND_LOCK, Call::Lock, of.range.0, of.range.1 - of.range.0));
    for (name, call, address, size) in named.chain(relock).collect::<Vec<_>>() {
        match site(image, extents, (name, call), (address, size)) {
            Ok(site) => found.calls.push(site),
            Err(reason) => found.left_out.push(format!("calls of {name}: {reason}")),
        }
    }
}

fn site(
    image: &Image<'_>,
    extents: &Extents,
    (name, call): (&str, Call),
    (address, size): (u64, u64),
) -> Result<Site, &'static str> {
    // Who waits for a condition names that first.
    let register = if call == Call::Wait { Reg::Rsi } else { Reg::Rdi };
    let cheap = Body::decode(image, extents, address, size).ok().and_then(|body| gate(&body, register));
    let (address, class) = cheap.unwrap_or_else(|| (address, classify(image.code_from(address, 15))));
    if let Class::Refused(reason) = class {
        return Err(reason);
    }
    Ok(Site {
        role: Role::Call(call),
        function: name.into(),
        address,
        file_offset: image.offset_of(address).ok_or("its symbol lies outside of the code")?,
        class,
        count_register: None,
        lock: Some(LockPointer { register, offset: 0 }),
        found_by: FoundBy::Symbol,
    })
}

/// The first instruction that is cheap to probe on the straight line from the beginning, as long as that has neither
/// changed the register with the mutex nor the stack. `None` where only the first instruction comes into question.
fn gate(body: &Body<'_>, register: Reg) -> Option<(u64, Class)> {
    let mut factory = InstructionInfoFactory::new();
    for index in body.line(0) {
        let class = body.class(index);
        if matches!(class, Class::FiveByteNop | Class::Emulated) {
            return Some((body.address(index), class));
        }
        let instruction = body.instructions.get(index)?;
        let changes = written(instruction, &mut factory);
        if class != Class::SingleStepped
            || call_target(instruction).is_some()
            || changes.contains(&register)
            || changes.contains(&Reg::Rsp)
        {
            return None;
        }
    }
    None
}
