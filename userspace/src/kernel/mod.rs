//! stub
pub mod btf;
