//! Processes that descend from a target, while userspace still looks for those that were there already: one may fork,
//! or end and leave its children to another parent, before it is found.

use crate::{config, kernel::Object, targets};

/// Generations between a process and a target that are looked at.
const GENERATIONS: usize = 32;
/// Children of one ending thread that are looked at.
const CHILDREN: usize = 64;

/// True if a task's process, or one that it descends from, is followed as a whole.
#[inline(never)]
pub fn is_followed(task: Object) -> bool {
    let mut task = task;
    for _ in 0..GENERATIONS {
        let tgid = task.word(config::TASK_TGID());
        if tgid == config::OWN_TGID() {
            return false;
        }
        if targets::is_whole(targets::process_of(tgid)) {
            return true;
        }
        if tgid <= 1 {
            return false;
        }
        task = task.follow(config::TASK_REAL_PARENT());
    }
    false
}

/// The running thread ends: opens rows for the processes that it has forked, which have another parent from now on.
/// Userspace seats their threads.
#[inline(always)]
pub fn bequeath(tgid: u32) {
    let task = Object::current_task();
    if !is_followed(task) {
        return;
    }
    let head = task.field(config::TASK_CHILDREN());
    let mut link = head.follow(0);
    for _ in 0..CHILDREN {
        if link.is(head) {
            return;
        }
        let child = link.container(config::TASK_SIBLING());
        targets::open_process(child.word(config::TASK_TGID()), tgid);
        link = link.follow(0);
    }
}
