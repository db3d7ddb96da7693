//! Locks in words.

use std::collections::BTreeSet;

use model::{
    locks::{LockPlace, StackCount},
    text::printable,
};

use super::{layout::shortened, share::percents_words};

/// Longer names of locks and functions lose their middle.
const LONGEST_NAME: usize = 48;
const LONGEST_FUNCTION: usize = 60;

/// Functions of a stack that are shown in one line.
const FRAMES: usize = 4;
/// Processes that share a lock and are listed.
const USERS: usize = 4;

/// The name of a lock.
pub fn name(place: &LockPlace) -> String {
    shortened(&place.name(), LONGEST_NAME)
}

/// The name of a function.
pub fn function(frame: &str) -> String {
    shortened(&printable(frame), LONGEST_FUNCTION)
}

/// Users of a lock: one process, or several with the address that each has it at.
pub fn users(place: &LockPlace, users: &BTreeSet<(u32, u64)>) -> String {
    let shared = matches!(place, LockPlace::Shared { .. });
    let user = |(pid, address): &(u32, u64)| {
        if shared { format!("{pid} at {address:#x}") } else { pid.to_string() }
    };
    let mut listed: Vec<String> = users.iter().take(USERS).map(user).collect();
    if users.len() > USERS {
        listed.push(format!("{} more", users.len() - USERS));
    }
    listed.join(", ")
}

/// The most frequent stacks, each with its share of the events that they stand for.
pub fn stacks(stacks: &[StackCount], shown: usize) -> Vec<String> {
    let mut order: Vec<&StackCount> = stacks.iter().filter(|stack| stack.count > 0).collect();
    order.sort_by_key(|stack| (std::cmp::Reverse(stack.count), &stack.frames));
    let (listed, rest) = order.split_at(shown.min(order.len()));
    let mut counts: Vec<u64> = listed.iter().map(|stack| stack.count).collect();
    counts.extend((!rest.is_empty()).then(|| rest.iter().map(|stack| stack.count).sum::<u64>()));
    let mut origins: Vec<String> = listed.iter().map(|stack| chain(stack)).collect();
    origins.extend((!rest.is_empty()).then(|| {
        let noun = if rest.len() == 1 { "other stack" } else { "other stacks" };
        format!("{} {noun}", rest.len())
    }));
    let lines = percents_words(&counts).into_iter().zip(origins);
    lines.map(|(share, origin)| format!("{share} from {origin}")).collect()
}

/// From the function that used the lock outwards; what belongs to the lock itself is left out.
fn chain(stack: &StackCount) -> String {
    let caller = stack.caller.as_ref().and_then(|caller| stack.frames.iter().position(|it| it == caller));
    let outer = stack.frames.get(caller.unwrap_or(0)..).unwrap_or_default();
    let mut text = outer.iter().take(FRAMES).map(|frame| function(frame)).collect::<Vec<_>>().join(" < ");
    if outer.len() > FRAMES {
        text += &format!(" < {} more", outer.len() - FRAMES);
    }
    match (&stack.cut, outer.is_empty()) {
        (None, false) => text,
        (None, true) => "an unknown place".to_owned(),
        (Some(cut), false) => format!("{text} < [cut: {}]", printable(cut)),
        (Some(cut), true) => format!("an unknown place: {}", printable(cut)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_begin_with_the_user_of_the_lock_and_say_where_they_were_cut() {
        let stack = |frames: &[&str], caller: Option<&str>, cut: Option<&str>, count| StackCount {
            frames: frames.iter().map(|frame| (*frame).to_owned()).collect(),
            caller: caller.map(str::to_owned),
            cut: cut.map(str::to_owned),
            count,
        };
        let all = [
            stack(&["lll_lock_wait", "push", "main"], Some("push"), None, 1),
            stack(&["lll_lock_wait", "pop"], Some("pop"), Some("no frame pointer"), 3),
            stack(&[], None, None, 996),
        ];
        let lines = [
            "100% from an unknown place",
            "<1% from pop < [cut: no frame pointer]",
            "<1% from 1 other stack",
        ];
        assert_eq!(stacks(&all, 2), lines);
        assert_eq!(stacks(&all[..1], 2), ["100% from push < main"]);
        let unseen = [stack(&[], None, Some("the process ended"), 1)];
        assert_eq!(stacks(&unseen, 2), ["100% from an unknown place: the process ended"]);
    }
}
