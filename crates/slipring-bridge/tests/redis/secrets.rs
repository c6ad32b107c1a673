//! Passwords stay where they are.

use slipring_bridge::{Connect, LinkError, Listen, RedisIn, RedisOut, RedisServer as Server};

use crate::{
    STREAM,
    common::redis_server::RedisServer,
    links::{lane, run},
    send,
};

const SECRET: &str = "s3cr3t-w0rd";

#[test]
fn passwords_are_not_shown() {
    let server = RedisServer::on_port(&["--requirepass", SECRET]);
    let at = server.url();
    let with =
        |user: &str, password: &str| at.replace("redis://", &format!("redis://{user}:{password}@"));
    let wrong = "wr0ng-w0rd";
    run(async {
        let url = with("", SECRET);
        let (out, input) = (RedisOut::new(url.as_str(), STREAM), RedisIn::new(url, STREAM, "g"));
        send(&out, &lane("a", 0..3)).await.unwrap();
        let link = input.listen(3).await.unwrap();
        for shown in [format!("{out:?}"), format!("{input:?}"), format!("{link:?}")] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
        assert!(format!("{out:?}").contains("127.0.0.1"));

        for (user, password) in [("", wrong), ("somebody", wrong)] {
            let url = with(user, password);
            let refused = [
                RedisOut::new(url.as_str(), STREAM).connect().await.unwrap_err(),
                RedisIn::new(url, STREAM, "g").listen(3).await.unwrap_err(),
            ];
            for error in refused {
                assert!(matches!(error, LinkError::Refused { .. }), "{error}");
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(wrong) && !shown.contains(SECRET), "{shown}");
            }
        }
        let error = RedisOut::new(at.as_str(), STREAM).connect().await.unwrap_err();
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
    });
}

#[test]
fn a_password_from_a_file() {
    let server = RedisServer::on_port(&["--requirepass", SECRET]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    run(async {
        let out = RedisOut::new(Server::at(server.url()).password_file(&file), STREAM);
        let error = out.connect().await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Refused { problem, .. } if problem.contains("cannot be read"))
        );
        // It is read for each connection.
        std::fs::write(&file, "old\n").unwrap();
        assert!(matches!(out.connect().await.unwrap_err(), LinkError::Refused { .. }));
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        send(&out, &lane("a", 0..3)).await.unwrap();
    });
}

#[test]
fn addresses_that_are_none() {
    run(async {
        let bad = [
            "",
            "x",
            "http://u:s3cr3t@h/",
            "redis://u:s3cr3t@",
            "redis://u:s3cr3t@h:port/",
            "redis://h/s3cr3t",
        ];
        for url in bad {
            let error = RedisOut::new(url, STREAM).connect().await.unwrap_err();
            assert!(matches!(error, LinkError::Refused { .. }), "{url}: {error}");
            let shown = format!("{error} {error:?} {:?}", RedisOut::new(url, STREAM));
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
        let plain = Server::at("redis://127.0.0.1/").authorities("ca.pem");
        let error = RedisOut::new(plain, STREAM).connect().await.unwrap_err();
        assert!(error.to_string().contains("rediss://"), "{error}");
    });
}
