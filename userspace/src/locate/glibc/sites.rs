//! From numbers of instructions to sites.

use super::{Examined, Found, spin};
use crate::locate::{
    elf::Image,
    register::Reg,
    site::{FoundBy, LockPointer, Role, Site, Spin, Wait},
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
        let lock = examined.states.get(index).and_then(Option::as_ref).and_then(|state| state.lock());
        self.sites.push(Site {
            role,
            function: function.into(),
            address,
            file_offset,
            class: examined.body.class(index),
            count_register,
            lock: lock.map(|(register, offset)| LockPointer { register, offset }),
            found_by: FoundBy::Signature,
        });
    }
}
