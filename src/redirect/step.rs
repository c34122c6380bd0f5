//! What is run, in a form that a shell takes as well: what is printed is what is run.

use std::fmt;
use std::time::Duration;

/// One program with its arguments. None of them needs quoting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The program's name.
    pub program: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Run {
    /// Splits a line at its blanks.
    pub(super) fn new(program: &'static str, args: &str) -> Self {
        let args = args.split_ascii_whitespace().map(str::to_owned).collect();
        Self { program, args }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.args.join(" "))
    }
}

/// One step. Guards are quiet: that they fail is their answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Runs a program.
    Run(Run),
    /// Gives a script to a program's standard input; all of it takes effect, or nothing.
    Feed(Run, String),
    /// Runs the second program where the first fails.
    Unless(Run, Run),
    /// Takes the steps where the program succeeds.
    If(Run, Vec<Step>),
    /// Runs a program until it fails.
    While(Run),
    /// Waits until no connection is left at the listener's port, at most so long.
    Drain {
        /// The listener's port.
        to: u16,
        /// How long.
        at_most: Duration,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => writeln!(f, "{run}"),
            Self::Feed(run, script) => writeln!(f, "{run} <<'END'\n{script}END"),
            Self::Unless(guard, run) => writeln!(f, "{guard} 2>/dev/null || {run}"),
            Self::If(guard, steps) => {
                writeln!(f, "if {guard} >/dev/null 2>&1; then")?;
                for step in steps {
                    // The end of a script must stand at the start of its line.
                    let indent = if matches!(step, Self::Feed(..)) {
                        ""
                    } else {
                        "    "
                    };
                    write!(f, "{indent}{step}")?;
                }
                writeln!(f, "fi")
            }
            Self::While(run) => writeln!(f, "while {run} 2>/dev/null; do :; done"),
            Self::Drain { to, .. } => writeln!(
                f,
                "# What follows resets the redirected connections that still live: those at port {to}."
            ),
        }
    }
}
