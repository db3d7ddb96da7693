//! The shared part of the bundled programs: the contract with the tracer, and the data structures they exercise.
