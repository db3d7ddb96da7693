//! Files of others, and what is read from them: bytes in, facts out. Nothing here needs a privilege or a kernel.
#![forbid(unsafe_code)]

pub mod btf;
pub mod channel;
pub mod files;
pub mod fixed;
pub mod input;
pub mod locate;
pub mod maps;
pub mod service;
pub mod symbolize;
