//! The words in Chinese.

mod answers;
mod etcd;
mod registered;

pub(in crate::finding) use answers::*;
pub(in crate::finding) use etcd::*;
pub(in crate::finding) use registered::*;
