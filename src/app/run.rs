//! `tidegate run`: from flags to exit code.
