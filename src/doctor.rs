//! What tidegate tells people who look for a cause.

pub mod recent;
