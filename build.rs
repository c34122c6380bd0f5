//! Tells the build which compiler and, for a release, which commit it is of, for
//! `tidegate_build_info`. Whatever is missing is "unknown"; nothing here fails a build.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(&rustc, &["--version"]);
    let rustc = version
        .as_deref()
        .and_then(|v| v.split(' ').nth(1))
        .unwrap_or("unknown");
    println!("cargo::rustc-env=TIDEGATE_RUSTC={rustc}");
    println!("cargo::rustc-env=TIDEGATE_COMMIT={}", commit());
}

/// A development build says "unknown", so that a commit does not compile everything again.
fn commit() -> String {
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return "unknown".to_owned();
    }
    // The log of HEAD changes with every commit and checkout; HEAD itself does not.
    if let Some(log) = output("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    output("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
