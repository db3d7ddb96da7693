//! End-to-end tests of `logagg`: every variant, every kind of trouble, every refusal.
#![cfg(test)]

mod handshake;
mod refusals;
mod support;
mod trouble;
mod variants;
