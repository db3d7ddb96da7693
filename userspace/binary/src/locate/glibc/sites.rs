//! From numbers of instructions to sites.

use super::{Examined, Found, kernel_wait, spin};
use crate::locate::{
    elf::Image,
    flow::State,
    landmarks::Landmarks,
    register::Reg,
    site::{FoundBy, Role, Site, Spin, Wait},
};

impl Found {
    /// All sites of a spin.
    pub(super) fn add_spin(
        &mut self,
        image: &Image<'_>,
        function: &str,
        examined: &Examined<'_>,
        spin: &spin::Spin,
    ) {
        self.spins.push(Spin { function: function.into(), generation: spin.generation });
        self.add(image, function, examined, spin.contended.best, Role::Contended, None);
        for end in &spin.ends {
            self.add(image, function, examined, end.place.best, Role::SpinEnd, Some(end.count));
        }
        if let Some((gave_up, branch)) = &spin.gave_up {
            self.add(image, function, examined, gave_up.best, Role::GaveUp, None);
            self.add(image, function, examined, *branch, Role::LastAttempt, None);
        }
    }

    /// All sites of a function like `pthread_mutex_lock`, which waits by calling this address.
    pub(super) fn add_mutex(
        &mut self,
        image: &Image<'_>,
        function: &'static str,
        examined: &Examined<'_>,
        spin: &spin::Spin,
        wait: u64,
    ) {
        self.add_spin(image, function, examined, spin);
        let (Some(end), Some((gave_up, _))) = (spin.ends.first(), &spin.gave_up) else { return };
        let body = &examined.body;
        let adaptive = body.reachable(gave_up.first, |index| index == end.place.first);
        let calls = spin::calls_with_lock(body, &examined.states);
        let calls: Vec<usize> = calls
            .into_iter()
            .filter(|(_, to, at)| *to == wait && *at == 0)
            .map(|(index, ..)| index)
            .collect();
        for index in calls.iter().copied() {
            let kind = if adaptive.contains(&index) {
                Some(Wait::Adaptive)
            } else {
                kernel_wait::kind_after(body, &examined.states, index)
            };
            match kind {
                Some(kind) => self.add_wait(image, function, examined, index, kind),
                None => self.left_out.push(format!(
                    "the wait at {:#x} in {function}: neither an owner nor a count is set after it",
                    body.address(index)
                )),
            }
        }
        let Some(adaptive_wait) = calls.iter().copied().find(|index| adaptive.contains(index)) else {
            return;
        };
        self.landmarks.push(Landmarks {
            function,
            range: (body.address(0), body.end()),
            contended: body.address(spin.contended.first),
            spin_end: body.address(end.place.first),
            count: Some(end.count_at_first),
            gave_up: body.address(gave_up.first),
            adaptive_return: body.instructions[adaptive_wait].next_ip(),
            returns: calls.iter().map(|index| body.instructions[*index].next_ip()).collect(),
            generation: spin.generation,
        });
    }

    /// A call into the kernel wait.
    pub(super) fn add_wait(
        &mut self,
        image: &Image<'_>,
        function: &str,
        examined: &Examined<'_>,
        index: usize,
        wait: Wait,
    ) {
        self.add(image, function, examined, index, Role::KernelWait(wait), None);
    }

    fn add(
        &mut self,
        image: &Image<'_>,
        function: &str,
        examined: &Examined<'_>,
        index: usize,
        role: Role,
        count_register: Option<Reg>,
    ) {
        let address = examined.body.address(index);
        let Some(file_offset) = image.offset_of(address) else { return };
        let lock = examined.states.get(index).and_then(Option::as_ref).and_then(State::lock_pointer);
        self.sites.push(Site {
            role,
            function: function.into(),
            address,
            file_offset,
            class: examined.body.class(index),
            count_register,
            lock,
            found_by: FoundBy::Signature,
        });
    }
}
