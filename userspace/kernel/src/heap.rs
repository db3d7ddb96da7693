//! The heap after loading.

/// Gives freed memory back to the system: the kernel's type information takes 20 MB while it is looked at, and the
/// allocator would keep that for as long as the session lasts.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only returns pages that hold nothing.
    unsafe {
        libc::malloc_trim(0);
    }
}
