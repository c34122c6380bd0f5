//! The whole story: a service registers its loopback address, a caller elsewhere is told why it cannot be called and what
//! to type, and a rule of one line makes the same call succeed meanwhile.

use std::process::Stdio;
use std::time::Duration;

use scripted::{Answer, Client, Framing};
use tokio::time::sleep;

use crate::lab::{CALLER, Lab, Running};
use crate::netns::inside;
use crate::servers::thrift;

const CONFIG: &str = "[[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"http://10.77.0.1:2379\"]\n\
     [[listener]]\nname = \"item\"\nlisten = \"10.77.0.2:18890\"\nservice = \"item\"\n";

const REWRITE: &str = "[[rewrite]]\nname = \"item\"\nservice = \"item\"\nhost = \"10.77.0.1\"\n";

#[test]
fn a_loopback_registration_is_explained_by_doctor_and_to_the_caller_and_a_rewrite_rule_serves_it() {
    let name = "story::a_loopback_registration_is_explained_by_doctor_and_to_the_caller_and_a_rewrite_rule_serves_it";
    inside(name, || async {
        let mut lab = Lab::new().await;
        let _server = thrift("0.0.0.0:8890").await;
        lab.register("item", "127.0.0.1:8890").await;

        let (said, exit) = lab.doctor_says(&["item"]).await;
        assert_eq!(exit, 1, "{said}");
        for part in [
            "R02",
            "127.0.0.1:8890",
            "server.WithServiceAddr",
            "KITEX_IP_TO_REGISTRY=",
            "KITEX_PORT_TO_REGISTRY=8890",
            "[[rewrite]]",
        ] {
            assert!(said.contains(part), "no {part} in\n{said}");
        }
        assert!(said.contains("no call"), "{said}");
        let (said, _) = lab.doctor_says(&["--lang", "zh", "item"]).await;
        assert!(said.contains("R02") && said.contains("注册"), "{said}");

        let plain = lab.write("tidegate.toml", CONFIG);
        let overlay = lab.write("office.toml", REWRITE);
        let running = start(&lab, &[&plain]).await;
        let Answer::Exception(_, message) = call().await else {
            panic!("an address of the caller's own loopback was called")
        };
        let lead = "tidegate: 127.0.0.1:8890 (item) is registered as a loopback address (R02); see tidegate doctor item";
        assert!(message.starts_with(lead), "{message}");
        let why = lab.on_caller(&format!("{} why item", env!("CARGO_BIN_EXE_tidegate")));
        assert!(why.contains("R02"), "{why}");
        drop(running);

        let _running = start(&lab, &[&plain, &overlay]).await;
        let answer = call().await;
        assert!(matches!(answer, Answer::Text(_)), "{answer:?}");
    });
}

/// One call of a client to tidegate on the caller's host.
async fn call() -> Answer {
    let at = format!("{CALLER}:18890").parse().unwrap();
    let mut client = Client::connect(at, Framing::Framed).await.unwrap();
    client.call("GetItem", "one").await.unwrap()
}

/// tidegate on the caller's host, once it listens.
async fn start(lab: &Lab, files: &[&str]) -> Running {
    let mut command = lab.command_on_caller(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("run");
    for file in files {
        command.args(["-c", file]);
    }
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(format!("{CALLER}:18890"))
            .await
            .is_ok()
        {
            return running;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("tidegate does not listen on the caller's host");
}
