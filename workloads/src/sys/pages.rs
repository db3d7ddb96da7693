//! Fresh memory of a known number of pages: each is one page fault when it is first written to.
#![expect(unsafe_code, reason = "a mapping is a raw pointer")]

use std::{io, ptr, ptr::NonNull};

use rustix::{
    mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap},
    param::page_size,
};

/// Memory that no thread has touched yet.
#[derive(Debug)]
pub struct Pages {
    base: NonNull<u8>,
    pages: usize,
}

// SAFETY: it is private memory that only the owner touches.
unsafe impl Send for Pages {}

impl Pages {
    /// Maps so many pages of ordinary size; none of them is there yet.
    ///
    /// # Errors
    /// When there is no room.
    pub fn map(pages: usize) -> io::Result<Self> {
        let len = pages.max(1) * page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, protection, MapFlags::PRIVATE) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let this = Self { base, pages };
        // SAFETY: the mapping that was just made; the advice changes no contents.
        let advised = unsafe { madvise(base.as_ptr().cast(), len, Advice::LinuxNoHugepage) };
        match advised {
            // A kernel without huge pages does not know the advice.
            Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(this),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes to each page: one fault each, the first time.
    pub fn touch(&mut self) {
        for page in 0..self.pages {
            // SAFETY: within the mapping, which is writable and ours alone.
            unsafe { self.base.add(page * page_size()).write_volatile(1) };
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made; no pointer into it remains.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.pages.max(1) * page_size()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::usage::Usage;

    #[test]
    fn each_page_is_one_fault_and_only_once() {
        let mut pages = Pages::map(2003).unwrap();
        Pages::map(1).unwrap().touch();
        let before = Usage::now();
        pages.touch();
        let first = Usage::now().since(before).minor_faults;
        pages.touch();
        let second = Usage::now().since(before).minor_faults;
        // Other tests of this process run meanwhile.
        assert!((2003..4000).contains(&first), "{first}");
        assert!(second < first + 2003, "{second}");
    }
}
