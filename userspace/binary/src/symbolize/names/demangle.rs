//! Names as a person wrote them.

use cpp_demangle::{DemangleOptions, Symbol};

/// Longest name that is demangled: some generated names take very long.
const LONGEST: usize = 4096;

/// The name without what compilers add; as it is if it is of another kind. C++ functions go without their parameters,
/// as Rust ones do, and Rust ones without their hash.
pub fn demangled(name: &str) -> String {
    if name.len() > LONGEST {
        return name.to_owned();
    }
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    let options = DemangleOptions::new().no_params().no_return_type();
    let cpp = name.starts_with("_Z").then(|| Symbol::new(name).ok()).flatten();
    cpp.and_then(|symbol| symbol.demangle_with_options(&options).ok()).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::demangled;

    #[test]
    fn names_read_as_written() {
        assert_eq!(demangled("_ZN5shape5Queue7enqueueERKi"), "shape::Queue::enqueue");
        assert_eq!(
            demangled("_ZNSt6vectorIiSaIiEE9push_backERKi"),
            "std::vector<int, std::allocator<int> >::push_back"
        );
        assert_eq!(demangled("_ZN3std2io5stdio6_print17h0123456789abcdefE"), "std::io::stdio::_print");
        assert_eq!(demangled("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
        assert_eq!(demangled("pthread_mutex_lock"), "pthread_mutex_lock");
        assert_eq!(demangled("_Zgarbage"), "_Zgarbage");
        assert_eq!(demangled(""), "");
    }
}
