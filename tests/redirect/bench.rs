//! A namespace with addresses to dial, a tool for the rules, and tidegate to make them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::netns::Netns;
use crate::peer::Peer;

/// Addresses of the namespace's own: nobody is redirected from elsewhere.
pub const V4: &str = "10.9.9.9";
/// The same for IPv6.
pub const V6: &str = "[fd09::9]";

/// What makes the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// iptables as the system has it; Debian's and Ubuntu's speak nf_tables.
    Iptables,
    /// The older one.
    Legacy,
    /// nft.
    Nft,
}

const LEGACY: &str = "/usr/sbin/xtables-legacy-multi";

/// The namespace and what is in it.
pub struct Bench {
    pub netns: Netns,
    tool: Tool,
    /// Tools that come before the system's.
    bin: TempDir,
}

impl Bench {
    /// With each tool that there is.
    pub fn each(test: &str, body: impl Fn(&Self)) {
        for tool in [Tool::Iptables, Tool::Nft, Tool::Legacy] {
            let Some(bench) = Self::new(test, tool) else {
                return;
            };
            // Its lock is root's; and not every system has it.
            if tool != Tool::Legacy || bench.netns.is_roots() && Path::new(LEGACY).exists() {
                body(&bench);
            }
        }
    }

    /// `None` where the test is skipped; it has said so then.
    pub fn new(test: &str, tool: Tool) -> Option<Self> {
        let netns = Netns::or_skip(test)?;
        let bin = tempfile::tempdir().unwrap();
        if tool == Tool::Legacy {
            for name in ["iptables", "ip6tables"] {
                for what in ["", "-restore", "-save"] {
                    symlink(LEGACY, bin.path().join(format!("{name}{what}"))).unwrap();
                }
            }
        }
        netns.run(&format!(
            "ip addr add {V4}/32 dev lo; ip addr add fd09::9/128 dev lo nodad"
        ));
        Some(Self { netns, tool, bin })
    }

    /// Puts a program of its own before the system's.
    pub fn pretend(&self, program: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;

        let path = self.bin.path().join(program);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A command in the namespace that finds the tools.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.netns.command(program);
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.bin.path().display();
        command.env("PATH", format!("{bin}:{path}:/usr/sbin:/sbin"));
        command
    }

    /// Runs a line of the shell that must succeed; what it prints.
    pub fn sh(&self, line: &str) -> String {
        let output = self.command("sh").args(["-ec", line]).output().unwrap();
        succeeded(line, &output)
    }

    /// `tidegate iptables` with these flags.
    pub fn tidegate(&self, flags: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("iptables").args(flags.split_whitespace());
        if self.tool == Tool::Nft {
            command.arg("--nft");
        }
        command
    }

    /// Runs it; it must succeed, and gives what it prints and what it tells.
    pub fn does(&self, flags: &str) -> (String, String) {
        let output = self.tidegate(flags).output().unwrap();
        let printed = succeeded(flags, &output);
        (printed, String::from_utf8(output.stderr).unwrap())
    }

    /// Runs what `tidegate iptables` prints, as a person would.
    pub fn pastes(&self, flags: &str) {
        let (printed, _) = self.does(&format!("{flags} --print"));
        let is_script = self.tool == Tool::Nft && !flags.contains("--remove");
        self.sh(&match is_script {
            true => format!("nft -f - <<'END'\n{printed}END"),
            false => printed,
        });
    }

    /// Every rule there is, of both tools, but for counters and dates.
    pub fn rules(&self) -> String {
        let dump = match self.tool {
            Tool::Nft => "nft list ruleset",
            _ => "iptables-save -t nat; ip6tables-save -t nat",
        };
        let dump = self.sh(dump);
        let kept = dump.lines().filter(|line| !line.starts_with('#'));
        let plain = kept.map(|line| line.split(" [").next().unwrap_or_default());
        plain.map(|line| format!("{line}\n")).collect()
    }

    /// Another one's rule, which nothing of tidegate's may touch.
    pub fn add_another_ones_rule(&self) {
        self.sh(match self.tool {
            Tool::Nft => {
                "nft add table inet other; nft 'add chain inet other output { type nat hook output priority -90; }'; \
                 nft add rule inet other output tcp dport 7777 redirect to :7778"
            }
            _ => {
                "for tool in iptables ip6tables; do \
                 $tool -w -t nat -A OUTPUT -p tcp --dport 7777 -j REDIRECT --to-ports 7778; done"
            }
        });
    }

    /// What a caller is told who dials there, with a mark unless it is 0.
    pub fn dials(&self, at: &str, mark: u32) -> String {
        Peer::dial(&self.netns, at, mark).says()
    }
}

fn succeeded(what: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
