//! Why a broker was not to be had, where the client library says only that it was not.

use crate::config::Kafka;
use openssl::asn1::Asn1Time;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod};
use openssl::x509::X509;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For so long a broker is asked for its certificate.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the last trouble was found to come from: the same one is looked into once.
#[derive(Default)]
pub(crate) struct Diagnosis(Mutex<Option<(String, Option<String>)>>);

impl Diagnosis {
    /// A trouble with its cause, where one is found.
    pub(crate) fn told(&self, kafka: &Kafka, trouble: &str) -> String {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(known, _)| known != trouble) {
            *last = Some((trouble.to_owned(), explain(kafka, trouble)));
        }
        match last.as_ref().and_then(|(_, cause)| cause.as_ref()) {
            Some(cause) => format!("{cause} ({trouble})"),
            None => trouble.to_owned(),
        }
    }
}

/// What is wrong with a certificate or a token, when that is what this trouble comes from. Connects to the broker, at most for
/// some seconds.
fn explain(kafka: &Kafka, trouble: &str) -> Option<String> {
    if trouble.contains("certificate verify failed") {
        return brokers_certificate(broker_of(trouble)?, kafka.properties.get("ssl.ca.location").map(String::as_str));
    }
    if trouble.contains("invalid_token") {
        let file = kafka.oauth_token_file.as_deref()?;
        return Some(format!("the broker refuses the token of {file}: its issuer, audience, signature or time"));
    }
    if trouble.contains("alert") && trouble.contains("certificate") {
        // The broker refused ours, and its alert says little of why.
        return own_certificate(kafka.properties.get("ssl.certificate.location").map(String::as_str));
    }
    None
}

/// The address in what the client library calls a broker: `ssl://HOST:PORT/NAME`.
fn broker_of(trouble: &str) -> Option<&str> {
    let (_, rest) = trouble.split_once("ssl://")?;
    rest.split('/').next().filter(|address| address.contains(':'))
}

fn brokers_certificate(address: &str, authorities: Option<&str>) -> Option<String> {
    let host = address.rsplit_once(':')?.0.trim_matches(['[', ']']);
    let stream = address.to_socket_addrs().ok()?.find_map(|a| TcpStream::connect_timeout(&a, PROBE_TIMEOUT).ok())?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT)).ok()?;
    let mut connector = SslConnector::builder(SslMethod::tls_client()).ok()?;
    if let Some(file) = authorities {
        connector.set_ca_file(file).ok()?;
    }
    match connector.build().connect(host, stream) {
        Err(HandshakeError::Failure(failed)) if failed.ssl().verify_result().as_raw() != 0 => {
            Some(format!("the certificate of {address}: {}", failed.ssl().verify_result().error_string()))
        }
        _ => None,
    }
}

fn own_certificate(file: Option<&str>) -> Option<String> {
    let Some(file) = file else {
        return Some("the broker asks for a certificate, and ssl.certificate.location is not set".to_owned());
    };
    let certificate = X509::from_pem(&std::fs::read(file).ok()?).ok()?;
    let now = Asn1Time::days_from_now(0).ok()?;
    if certificate.not_after() < now {
        return Some(format!(
            "ssl.certificate.location {file}: the certificate expired on {}",
            certificate.not_after()
        ));
    }
    if certificate.not_before() > now {
        return Some(format!("ssl.certificate.location {file}: valid from {} on", certificate.not_before()));
    }
    None
}
