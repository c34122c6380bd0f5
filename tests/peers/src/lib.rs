//! RPC peers for tests.
