//! The heap after loading.

/// Returns freed memory to the system: the kernel's type information takes 20 MB while it is parsed, and the allocator
/// would keep that memory for the whole session.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only returns pages that hold nothing.
    unsafe {
        libc::malloc_trim(0);
    }
}
