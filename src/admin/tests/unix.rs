use std::io;
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use super::*;

fn at(path: &Path) -> ListenAddr {
    ListenAddr::Unix(path.to_owned())
}

/// Serves until it is stopped, and says what a client hears meanwhile.
async fn ask_at(server: Server, path: &Path) -> String {
    let (stop, stopped) = oneshot::channel::<()>();
    let control = Arc::new(Scripted::default());
    let served = tokio::spawn(server.serve(control, Routes::Everything, async {
        let _ = stopped.await;
    }));
    let stream = UnixStream::connect(path).await.unwrap();
    let answer = exchange(stream, &request("GET /readyz", "Host: any.example\r\n", "")).await;
    stop.send(()).unwrap();
    served.await.unwrap();
    answer
}

#[tokio::test]
async fn a_unix_socket_is_its_owner_s_and_goes_with_its_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let server = Server::bind(&at(&path)).unwrap();
    assert_eq!(server.local_addr(), format!("unix:{}", path.display()));
    let mode = rustix::fs::stat(&path).unwrap().st_mode;
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(body(&ask_at(server, &path).await), "ready\n");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_a_dead_process_left_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = Server::bind(&at(&path)).unwrap();
    assert_eq!(body(&ask_at(server, &path).await), "ready\n");
}

#[tokio::test]
async fn a_socket_on_which_somebody_listens_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let first = Server::bind(&at(&path)).unwrap();
    let error = Server::bind(&at(&path)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(body(&ask_at(first, &path).await), "ready\n");
}

#[tokio::test]
async fn a_file_that_is_no_socket_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "mine").unwrap();
    let error = Server::bind(&at(&path)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn another_s_socket_in_its_place_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let old = Server::bind(&at(&path)).unwrap();
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    let new = Server::bind(&at(&path)).unwrap();
    drop(old);
    assert_eq!(body(&ask_at(new, &path).await), "ready\n");
}
