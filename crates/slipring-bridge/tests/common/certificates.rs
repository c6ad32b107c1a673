//! Certificates of a test's own, in files.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Writes `ca.pem`; for a server at 127.0.0.1 `server.pem` and `server.key`; for a client `client.pem` and
/// `client.key`; and `other.pem`, which has nothing to do with them.
pub fn write(directory: &Path) {
    let save = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap(), params, key)
    };
    let (certificate, params, key) = authority("the authority");
    save("ca.pem", certificate.pem());
    save("other.pem", authority("another").0.pem());
    let issuer = Issuer::new(params, key);
    for (name, of) in [("server", "127.0.0.1"), ("client", "client")] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![of.to_owned()]).unwrap();
        save(&format!("{name}.pem"), params.signed_by(&key, &issuer).unwrap().pem());
        save(&format!("{name}.key"), key.serialize_pem());
    }
}
