//! The binary: hands the command line to the library.

use std::process::ExitCode;

use tidegate::cli::{self, Commands};

fn main() -> ExitCode {
    cli::main(&Commands {
        run: tidegate::app::run::run,
        demo: tidegate::app::run::demo,
    })
}
