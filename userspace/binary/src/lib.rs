//! Files of others, and what is read from them: bytes in, facts out. Nothing here needs a privilege or a kernel.
#![forbid(unsafe_code)]

pub mod btf;
pub mod input;
pub mod locate;
pub mod maps;
pub mod symbolize;
