//! Certificates for tests: an authority, and what it vouches for.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// From and to, in days from now.
pub(crate) type Validity = (i64, i64);
pub(crate) const VALID: Validity = (-1, 30);
pub(crate) const EXPIRED: Validity = (-30, -1);

/// Signs certificates.
pub(crate) struct Authority {
    key: PKey<Private>,
    certificate: X509,
    pub(crate) file: PathBuf,
}

/// A certificate and its key, as files.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

fn named(name: &str) -> X509Name {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    subject.build()
}

fn begun(name: &str, key: &PKey<Private>, (from, to): Validity) -> X509Builder {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let at = |days: i64| Asn1Time::from_unix(now + days * DAY).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(128, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&named(name)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&at(from)).unwrap();
    builder.set_not_after(&at(to)).unwrap();
    builder
}

fn fresh_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

impl Authority {
    /// A new one; what it writes goes to `dir`.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let key = fresh_key();
        let mut builder = begun(name, &key, VALID);
        builder.set_issuer_name(&named(name)).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        let file = dir.join(format!("{name}.pem"));
        fs::write(&file, certificate.to_pem().unwrap()).unwrap();
        Self { key, certificate, file }
    }

    /// A certificate of `localhost` and 127.0.0.1, for both ends of a connection.
    pub(crate) fn issue(&self, name: &str, validity: Validity) -> Issued {
        let key = fresh_key();
        let mut builder = begun(name, &key, validity);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let names = SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").build(&context).unwrap();
        builder.append_extension(names).unwrap();
        builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build().unwrap()).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        let dir = self.file.parent().unwrap();
        let (certificate, private) = (dir.join(format!("{name}.crt.pem")), dir.join(format!("{name}.key.pem")));
        fs::write(&certificate, builder.build().to_pem().unwrap()).unwrap();
        fs::write(&private, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        Issued { certificate, key: private }
    }
}
