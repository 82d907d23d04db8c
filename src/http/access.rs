//! Who is answered, and how a connection is kept from being read or changed on its way.

use crate::config::Http;
use crate::lane::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use openssl::base64;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use sha2::{Digest, Sha256};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// A token that is shorter can be guessed.
const TOKEN_MIN: usize = 16;
/// Tokens that a file may hold, and bytes that it may have.
const TOKENS_MAX: usize = 64;
const TOKEN_FILE_MAX: u64 = 64 * 1024;
/// Asked by probes, which often can send no header; they tell no more than why there are no results.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

type Hash = [u8; 32];

/// What the files hold now.
struct Secrets {
    /// Hashes alone: a comparison that ends early tells nothing of a token.
    tokens: Option<Vec<Hash>>,
    tls: Option<SslAcceptor>,
}

/// Certificate and tokens, from files that may be read again at any time.
pub struct Access {
    http: Http,
    secrets: RwLock<Arc<Secrets>>,
}

impl Access {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the key and what is wrong with its file.
    pub fn new(http: &Http) -> Result<Self, String> {
        Ok(Self { http: http.clone(), secrets: RwLock::new(Arc::new(read(http)?)) })
    }

    /// Reads the files again: for new connections and requests. What is wrong changes nothing.
    ///
    /// # Errors
    /// Names the key and what is wrong with its file.
    pub fn reread(&self) -> Result<(), String> {
        let fresh = Arc::new(read(&self.http)?);
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Whether a token is asked for.
    pub fn asks_for_token(&self) -> bool {
        self.secrets().tokens.is_some()
    }

    /// Whether a request may be meant for this address. A page from elsewhere can have its own name point to a loopback
    /// address and then read what is answered there; the name that it asks for gives it away.
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        if !self.http.listen.ip().is_loopback() || self.asks_for_token() {
            return true;
        }
        let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    }

    /// What ends TLS here; `None`: in the clear.
    pub(super) fn tls(&self) -> Option<SslAcceptor> {
        self.secrets().tls.clone()
    }

    fn secrets(&self) -> Arc<Secrets> {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether these headers come from someone who has a token.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let secrets = self.secrets();
        let Some(tokens) = &secrets.tokens else { return true };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(token_of);
        shown.is_some_and(|shown| tokens.contains(&Sha256::digest(&shown).into()))
    }
}

fn read(http: &Http) -> Result<Secrets, String> {
    let tls = http.tls.as_ref().map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    let tokens = http.tokens.as_ref().map(|file| tokens(file)).transpose()?;
    Ok(Secrets { tokens, tls })
}

fn acceptor(certificate: &Path, key: &Path) -> Result<SslAcceptor, String> {
    let wrong = |what: &str, file: &Path, error: openssl::error::ErrorStack| {
        let reasons: Vec<&str> = error.errors().iter().filter_map(openssl::error::Error::reason).collect();
        format!("http.{what}: {}: {}", file.display(), reasons.join(", "))
    };
    for (what, file) in [("tls_certificate", certificate), ("tls_key", key)] {
        fs::metadata(file).map_err(|e| format!("http.{what}: {}: {e}", file.display()))?;
    }
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).map_err(|e| e.to_string())?;
    builder.set_certificate_chain_file(certificate).map_err(|e| wrong("tls_certificate", certificate, e))?;
    builder.set_private_key_file(key, SslFiletype::PEM).map_err(|e| wrong("tls_key", key, e))?;
    builder.check_private_key().map_err(|e| wrong("tls_key", key, e))?;
    Ok(builder.build())
}

fn tokens(file: &Path) -> Result<Vec<Hash>, String> {
    let refuse = |why: String| format!("http.token_file: {}: {why}", file.display());
    let size = fs::metadata(file).map_err(|e| refuse(e.to_string()))?.len();
    if size > TOKEN_FILE_MAX {
        return Err(refuse(format!("has {size} bytes, may have {TOKEN_FILE_MAX}")));
    }
    let text = fs::read_to_string(file).map_err(|e| refuse(e.to_string()))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut hashes = Vec::new();
    for (at, token) in lines {
        // Never the token itself: this is logged.
        if token.len() < TOKEN_MIN || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(refuse(format!("line {}: no token of {TOKEN_MIN} or more visible ASCII characters", at + 1)));
        }
        hashes.push(Sha256::digest(token).into());
    }
    match hashes.len() {
        0 => Err(refuse("holds no token".to_owned())),
        n if n > TOKENS_MAX => Err(refuse(format!("holds {n} tokens, may hold {TOKENS_MAX}"))),
        _ => Ok(hashes),
    }
}

/// The token of an `Authorization` header: as bearer, or as the password of a browser, which asks its user for one.
fn token_of(value: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().as_bytes().to_vec());
    }
    let pair = Some(rest.trim()).filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let pair = base64::decode_block(pair).ok()?;
    let at = pair.iter().position(|b| *b == b':')?;
    Some(pair[at + 1..].to_vec())
}

/// Lets those in who have a token, and everyone to what probes ask.
pub(super) async fn admit(
    State((access, shared)): State<(Arc<Access>, Arc<Shared>)>,
    request: Request,
    next: Next,
) -> Response {
    if !access.is_meant(request.headers()) {
        shared.metrics.http_refused.with_label_values(&["host"]).inc();
        return (StatusCode::MISDIRECTED_REQUEST, "ask for localhost or an address\n").into_response();
    }
    if OPEN.contains(&request.uri().path()) || access.admits(request.headers()) {
        return next.run(request).await;
    }
    shared.metrics.http_refused.with_label_values(&["token"]).inc();
    let mut response = (StatusCode::UNAUTHORIZED, "a token is needed\n").into_response();
    for challenge in ["Bearer realm=\"fragility\"", "Basic realm=\"fragility\", charset=\"UTF-8\""] {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Option<String> {
        token_of(value).map(|token| String::from_utf8(token).unwrap())
    }

    #[test]
    fn tokens_come_as_bearer_or_as_a_browsers_password() {
        assert_eq!(shown("Bearer abc"), Some("abc".to_owned()));
        assert_eq!(shown("bearer  abc "), Some("abc".to_owned()));
        // "desk:a:b", "desk:", ":abc"
        assert_eq!(shown("Basic ZGVzazphOmI="), Some("a:b".to_owned()));
        assert_eq!(shown("Basic ZGVzazo="), Some(String::new()));
        assert_eq!(shown("BASIC OmFiYw=="), Some("abc".to_owned()));
        for nothing in ["", "Bearer", "Basic", "Basic !!", "Basic ZGVzaw==", "Digest abc", "abc"] {
            assert_eq!(shown(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_file_of_tokens_is_read_whole_or_refused_with_its_line() {
        let file = std::env::temp_dir().join(format!("fragility-tokens-{}", std::process::id()));
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            tokens(&file).map(|hashes| hashes.len())
        };
        assert_eq!(read("# scraper\n0123456789abcdef\n\n  fedcba9876543210  \n"), Ok(2));
        for (text, why) in [
            ("", "holds no token"),
            ("# none\n", "holds no token"),
            ("0123456789abcdef\nshort\n", "line 2: no token of 16"),
            ("0123456789 abcdef\n", "line 1: no token"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why) && said.starts_with("http.token_file: "), "{said}");
            assert!(!said.contains("short"), "the token is told: {said}");
        }
        assert!(read(&"0123456789abcdef\n".repeat(65)).unwrap_err().contains("holds 65 tokens, may hold 64"));
        fs::remove_file(&file).unwrap();
        assert!(tokens(&file).unwrap_err().contains("No such file"));
    }
}
