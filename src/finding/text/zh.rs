//! The words in Chinese.

/// What stands before the lines for PowerShell.
macro_rules! powershell {
    () => {
        "在 Windows 上（PowerShell）："
    };
}

mod answers;
mod etcd;
mod registered;

pub(in crate::finding) use answers::*;
pub(in crate::finding) use etcd::*;
pub(in crate::finding) use registered::*;
