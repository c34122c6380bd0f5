#![allow(clippy::unwrap_used)]

use clap::{CommandFactory, Parser};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::ask::{NoAnswer, ask_within};
use super::{Command, Line};
use crate::config::ListenAddr;

fn parsed(line: &str) -> Result<Command, clap::Error> {
    Line::try_parse_from(line.split_whitespace()).map(|line| line.command)
}

#[test]
fn the_definition_of_the_flags_is_consistent() {
    Line::command().debug_assert();
}

#[test]
fn files_and_flags_may_be_given_together() {
    let line =
        "tidegate run -c a.toml -c b.toml --etcd http://e:1 --service s --listen 127.0.0.1:1";
    let Command::Run(args) = parsed(line).unwrap() else {
        panic!("it is run");
    };
    assert_eq!(args.config.len(), 2);
    assert_eq!((args.etcd.len(), args.service.as_deref()), (1, Some("s")));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "tidegate",
        "tidegate fly",
        "tidegate run --service s",
        "tidegate run extra",
        "tidegate reload --admin nowhere",
        "tidegate reload --admin 127.0.0.1:1 -c a.toml",
        "tidegate check --rate 0",
        "tidegate check --rate=-5",
        "tidegate check --rate NaN",
        "tidegate check --rate inf",
        "tidegate run --rate 5",
        "tidegate iptables --uid 1 --ports 8888,9000:9100",
        "tidegate iptables --uid 1 --ports 8888 --all-ports",
        "tidegate iptables --mark 0 --ports 8888",
        "tidegate iptables --mark 0x100000000 --ports 8888",
        "tidegate iptables --uid 1 --ports 8888 --to 0",
        "tidegate iptables --uid 1 --ports 8888 --exclude 10.0.0.0/33",
        "tidegate iptables --apply --remove",
        "tidegate iptables --uid 1 --ports 8888 --drain 1s",
        "tidegate iptables --remove --drain 30",
        "tidegate demo --seconds 0",
        "tidegate demo --seconds 5 --forever",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

#[test]
fn the_demo_lasts_ten_seconds_unless_told() {
    let Command::Demo(args) = parsed("tidegate demo").unwrap() else {
        panic!("it is demo");
    };
    assert_eq!((args.seconds, args.forever), (10, false));
    let Command::Demo(args) = parsed("tidegate demo --forever").unwrap() else {
        panic!("it is demo");
    };
    assert!(args.forever);
}

#[test]
fn every_flag_of_the_redirect_is_in_its_document() {
    let text = include_str!("../../docs/redirect.md");
    let line = Line::command();
    let command = line.find_subcommand("iptables").unwrap();
    for flag in command.get_arguments() {
        let named = match (flag.get_short(), flag.get_long().unwrap()) {
            (Some(short), _) => format!("`-{short} "),
            (None, long) => format!("`--{long}"),
        };
        assert!(text.contains(&named), "{named}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_accepts_and_says_nothing_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = ListenAddr::Tcp(listener.local_addr().unwrap());
    let error = ask_within(&admin, &hyper::Method::POST, "/drain")
        .await
        .unwrap_err();
    assert!(matches!(error, NoAnswer::Silent { .. }), "{error}");
    assert!(error.to_string().contains(&admin.to_string()), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = ListenAddr::Tcp(listener.local_addr().unwrap());
    let flood = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 16];
        stream.read_exact(&mut request).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
    };
    let (answer, ()) = tokio::join!(ask_within(&admin, &hyper::Method::POST, "/reload"), flood);
    assert!(matches!(answer, Err(NoAnswer::Broken { .. })), "{answer:?}");
}
