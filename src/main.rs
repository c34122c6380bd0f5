//! The binary: hands the command line to the library.

use std::process::ExitCode;

use tidegate::cli::{self, Commands};

fn main() -> ExitCode {
    cli::main(&Commands {
        // To be `app::run` and `demo::run`, of these very types.
        run: |_, _| ExitCode::from(cli::UNABLE),
        demo: |_| ExitCode::from(cli::UNABLE),
    })
}
