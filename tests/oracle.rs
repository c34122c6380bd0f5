//! TTHeader against Kitex's own library (`tests/oracle`, Go): what it writes we read, what we write it reads.
//! Skipped where there is no Go, unless `TIDEGATE_TEST_ALL` says that nothing may be.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};
use tidegate::frame::{
    BadFrame, Decoder, Head, Info, Limits, Progress, Side, Span, exception, str_key, with_string,
};

/// A line to or from the oracle; `tests/oracle/main.go` says what the fields mean.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Line {
    flags: u16,
    seqid: i32,
    protocol: u8,
    ints: Option<BTreeMap<u16, String>>,
    strings: Option<BTreeMap<String, String>>,
    hex: String,
    decode: bool,
    payload: usize,
    err: String,
}

impl Line {
    fn infos(&self) -> (BTreeMap<u16, String>, BTreeMap<String, String>) {
        (
            self.ints.clone().unwrap_or_default(),
            self.strings.clone().unwrap_or_default(),
        )
    }
}

/// The running oracle.
struct Oracle {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _dir: tempfile::TempDir,
}

impl Oracle {
    /// Builds and starts it; `None` where that cannot be.
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("oracle");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(source)
            .output();
        let why = match built {
            Ok(done) if done.status.success() => None,
            Ok(done) => Some(String::from_utf8_lossy(&done.stderr).into_owned()),
            Err(why) => Some(why.to_string()),
        };
        if let Some(why) = why {
            let insist = std::env::var_os("TIDEGATE_TEST_ALL").is_some_and(|all| !all.is_empty());
            assert!(
                !insist,
                "the TTHeader oracle could not be built with Go: {why}"
            );
            eprintln!("skipped: the TTHeader oracle could not be built with Go: {why}");
            return None;
        }
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        Some(Self {
            child,
            to,
            from,
            _dir: dir,
        })
    }

    fn ask(&mut self, line: &Line) -> Line {
        writeln!(self.to, "{}", serde_json::to_string(line).unwrap()).unwrap();
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn encode(&mut self, header: &Line) -> Vec<u8> {
        let answer = self.ask(header);
        assert_eq!(answer.err, "", "{header:?}");
        unhex(&answer.hex)
    }

    fn decode(&mut self, frame: &[u8]) -> Line {
        self.ask(&Line {
            hex: hex(frame),
            decode: true,
            ..Line::default()
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// A random header for a small framed call.
fn header(random: &mut fastrand::Rng) -> Line {
    let text = |random: &mut fastrand::Rng, longest: usize| -> String {
        let len = random.usize(..=longest);
        (0..len)
            .map(|_| {
                random
                    .choice(['a', 'b', 'Z', '0', '-', '_', '.', '\u{e9}', '\u{4e2d}'])
                    .unwrap()
            })
            .collect()
    };
    let ints = (0..random.usize(..12))
        .map(|_| (random.u16(..40), text(random, 40)))
        .collect();
    let strings = (0..random.usize(..8))
        .map(|_| (text(random, 20), text(random, 300)))
        .collect();
    Line {
        flags: random.choice([0, 1, 8, 0x10, 0x8001]).unwrap(),
        seqid: random.i32(..),
        protocol: random.choice([0, 3, 4, 0x10, 0x11]).unwrap(),
        ints: Some(ints),
        strings: Some(strings),
        hex: "00000010800100010000000347657400000007".to_owned() + "00",
        ..Line::default()
    }
}

fn whole(frame: &[u8], side: Side) -> Head {
    match Decoder::new(Limits::default(), side).decode(frame) {
        Ok(Progress::Whole { head, len }) if len == frame.len() => head,
        other => panic!("{other:?} of {}", hex(frame)),
    }
}

/// The header as we read it; the ACL token under the string key by which Kitex knows it.
fn read(head: &Head, frame: &[u8]) -> Line {
    let tt = head.tt.unwrap();
    let text = |span: Span| String::from_utf8_lossy(span.of(frame)).into_owned();
    let (mut ints, mut strings) = (BTreeMap::new(), BTreeMap::new());
    for info in head.infos(frame) {
        match info.unwrap() {
            Info::Int(key, value) => drop(ints.insert(key, text(value))),
            Info::Str(key, value) => drop(strings.insert(text(key), text(value))),
            Info::Acl(value) => {
                drop(strings.insert("RPC_TRANSIT_gdpr-token".to_owned(), text(value)));
            }
        }
    }
    Line {
        flags: tt.flags,
        seqid: tt.seqid,
        protocol: tt.protocol,
        ints: Some(ints),
        strings: Some(strings),
        payload: frame.len() - tt.header.end(),
        ..Line::default()
    }
}

/// Whether all of a header's text is text: JSON carries no other bytes.
fn is_text(head: &Head, frame: &[u8]) -> bool {
    let header = head.tt.unwrap().header.of(frame);
    let values = head.ints(frame).map(|(_, value)| value);
    let strings = head.strings(frame).flat_map(|(key, value)| [key, value]);
    header.is_ascii()
        || values
            .chain(strings)
            .all(|text| std::str::from_utf8(text).is_ok())
}

fn assert_same(ours: &Line, theirs: &Line) {
    assert_eq!(theirs.err, "", "{ours:?}");
    assert_eq!(
        (
            ours.flags,
            ours.seqid,
            ours.protocol,
            ours.payload,
            ours.infos()
        ),
        (
            theirs.flags,
            theirs.seqid,
            theirs.protocol,
            theirs.payload,
            theirs.infos()
        ),
    );
}

#[test]
fn headers_mean_the_same_to_us_and_to_kitex() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..400 {
        let sent = header(&mut random);
        let frame = oracle.encode(&sent);
        let head = whole(&frame, Side::Calls);
        assert_eq!(read(&head, &frame).infos(), sent.infos());
        assert_same(&read(&head, &frame), &oracle.decode(&frame));

        let longer = with_string(&head, &frame, str_key::RETRIED, "1");
        let theirs = oracle.decode(&longer);
        assert_same(&read(&whole(&longer, Side::Calls), &longer), &theirs);
        let (ints, mut strings) = theirs.infos();
        assert_eq!(strings.remove(str_key::RETRIED).as_deref(), Some("1"));
        assert_eq!((ints, strings), sent.infos());

        let answer = exception(&head, &frame, 6, "no answer", random.bool());
        assert_same(
            &read(&whole(&answer, Side::Replies), &answer),
            &oracle.decode(&answer),
        );
    }
}

#[test]
fn what_kitex_refuses_in_a_header_we_refuse() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(8);
    let (mut both, mut alike) = (0, 0);
    for _ in 0..1000 {
        let mut frame = oracle.encode(&header(&mut random));
        let header_end = whole(&frame, Side::Calls).tt.unwrap().header.end();
        let at = random.usize(12..header_end);
        frame[at] = random.u8(..);
        let theirs = oracle.decode(&frame);
        let ours = Decoder::new(Limits::default(), Side::Calls).decode(&frame);
        match (theirs.err.is_empty(), ours) {
            (true, Ok(Progress::Whole { head, .. })) => {
                if is_text(&head, &frame) {
                    assert_same(&read(&head, &frame), &theirs);
                    alike += 1;
                }
            }
            (true, ours) => {
                // It leaves the payload to a later step, which we take at once.
                let payload = matches!(
                    ours,
                    Err(BadFrame::Lies { .. }
                        | BadFrame::Unknown { .. }
                        | BadFrame::NonStrict { .. })
                );
                assert!(payload, "{ours:?}: {}", hex(&frame));
            }
            (false, ours) => {
                assert!(ours.is_err(), "{}: {ours:?} of {}", theirs.err, hex(&frame));
                both += 1;
            }
        }
    }
    assert!(
        both > 50 && alike > 200,
        "{both} refused by both, {alike} read alike"
    );
}
