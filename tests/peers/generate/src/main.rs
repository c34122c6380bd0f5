//! Writes the Thrift code of the test peers, which is checked in: `cargo run` in this folder.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    volo_build::Builder::thrift()
        .add_service(peers.join("idl/echo.thrift"))
        .out_dir(peers.join("src/gen"))
        .filename(PathBuf::from("echo.rs"))
        .write()?;
    Ok(())
}
