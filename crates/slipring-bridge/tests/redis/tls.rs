//! Encrypted connections.

use slipring_bridge::{Connect, LinkError, Listen, RedisIn, RedisOut, RedisServer as At};

use crate::{
    STREAM, certificates,
    common::redis_server::RedisServer,
    links::{lane, run, take_done},
    send,
};

#[test]
fn only_who_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    certificates::write(directory.path());
    let path = directory.path().to_owned();
    let file = |name: &str| path.join(name).display().to_string();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let _server = RedisServer::start(&[
        "--tls-port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
    ]);
    let at = || At::at(format!("rediss://127.0.0.1:{port}/"));
    let identity = |at: At| at.identity(path.join("client.pem"), path.join("client.key"));
    run(async {
        let good = identity(at().authorities(path.join("ca.pem")));
        send(&RedisOut::new(good.clone(), STREAM), &lane("a", 0..3)).await.unwrap();
        let mut link = RedisIn::new(good, STREAM, "g").listen(3).await.unwrap();
        assert_eq!(take_done(&mut link, 3).await.unwrap().len(), 3);
        for bad in [identity(at()), identity(at().authorities(path.join("other.pem")))] {
            let error = RedisOut::new(bad, STREAM).connect().await.unwrap_err();
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        let bare = at().authorities(path.join("ca.pem"));
        assert!(RedisOut::new(bare, STREAM).connect().await.is_err());
        let error = RedisOut::new(at().authorities(path.join("none.pem")), STREAM).connect().await;
        assert!(matches!(error.unwrap_err(), LinkError::Refused { .. }));
    });
}
