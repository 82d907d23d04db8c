//! The HTTP server: where it listens, and who is answered.

use super::check::Checker;
use super::raw::RawHttp;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The HTTP server. What the files hold is read at the start and on SIGHUP, not here.
#[derive(Clone, PartialEq, Debug)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain and private key, PEM; `None`: in the clear.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Tokens, one a line; `None`: everyone is answered.
    pub tokens: Option<PathBuf>,
}

pub(super) fn check_http(c: &mut Checker, raw: &RawHttp) -> Http {
    let listen = raw.listen.parse().unwrap_or_else(|_| {
        c.refuse("http.listen", format!("is {:?}, must be ADDRESS:PORT", raw.listen));
        SocketAddr::from(([127, 0, 0, 1], 0))
    });
    let named = |file: &str| Some(PathBuf::from(file)).filter(|_| !file.is_empty());
    let tls = match (named(&raw.tls_certificate), named(&raw.tls_key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            c.refuse("http.tls_key", "is empty, and http.tls_certificate is not: TLS needs both");
            None
        }
        (None, Some(_)) => {
            c.refuse("http.tls_certificate", "is empty, and http.tls_key is not: TLS needs both");
            None
        }
    };
    Http { listen, tls, tokens: named(&raw.token_file) }
}
