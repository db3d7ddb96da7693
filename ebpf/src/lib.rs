#![no_std]
//! Empty: cargo needs a library target to depend on.
