//! no kernel programs yet
#![no_std]
#![no_main]
