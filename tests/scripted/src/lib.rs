//! Scripted Thrift peers for tests.
