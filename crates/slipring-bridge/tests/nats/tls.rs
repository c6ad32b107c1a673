//! Encrypted connections.

use slipring_bridge::{Connect, JetStream, JetStreamOut, LinkError, NatsServer as At};

use crate::{
    certificates,
    common::nats_server::NatsServer,
    links::{lane, run},
    send,
};

#[test]
fn only_who_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    certificates::write(directory.path());
    let path = directory.path().to_owned();
    let server = NatsServer::in_directory(
        directory,
        "tls { cert_file: \"DIR/server.pem\", key_file: \"DIR/server.key\", ca_file: \"DIR/ca.pem\", verify: true }",
    );
    let out = |at: At| JetStreamOut::new(JetStream::new(at, "ORDERS", "shop.orders"));
    let at = || At::at(format!("tls://127.0.0.1:{}", server.port()));
    let identity = |at: At| at.identity(path.join("client.pem"), path.join("client.key"));
    run(async {
        let good = identity(at().authorities(path.join("ca.pem")));
        send(&out(good.clone()), &lane("a", 0..3)).await.unwrap();
        send(&out(good.must_encrypt()), &lane("a", 0..5)).await.unwrap();
        for bad in [identity(at()), identity(at().authorities(path.join("other.pem")))] {
            let error = out(bad).connect().await.unwrap_err();
            assert!(matches!(error, LinkError::Refused { .. } | LinkError::Lost { .. }), "{error}");
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        // The server wants a certificate, and so does whoever names a file.
        assert!(out(at().authorities(path.join("ca.pem"))).connect().await.is_err());
        let error = out(identity(at().authorities(path.join("none.pem")))).connect().await;
        assert!(matches!(error.unwrap_err(), LinkError::Refused { .. }));
    });
}

#[test]
fn who_insists_gets_no_plain_connection() {
    let server = NatsServer::start();
    run(async {
        let at = At::at(server.url()).must_encrypt();
        let out = JetStreamOut::new(JetStream::new(at, "ORDERS", "shop.orders"));
        assert!(out.connect().await.is_err());
        send(&crate::out(&server), &lane("a", 0..3)).await.unwrap();
    });
}
