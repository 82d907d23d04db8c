//! `health`: asks a running service whether it is ready, for places without a shell or another HTTP client.

use super::AppError;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// A service that has not answered by then is not well.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 16 * 1024;

/// Asks a `http://` or `https://` URL; whether the answer is 200, and its text. Whoever answers under TLS must be
/// who the URL names, by a certificate that `authorities` (PEM) or those of the system vouch for.
///
/// # Errors
/// When the URL is none, or there is no answer.
pub fn health(url: &str, authorities: Option<&Path>) -> Result<(bool, String), AppError> {
    let none = || AppError::Usage(format!("--url {url:?} is no http:// or https:// URL"));
    let (scheme, rest) = url.split_once("://").ok_or_else(none)?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(none()),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let with_port = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let name = with_port.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let address = if with_port.is_some() { host.to_owned() } else { format!("{host}:{port}") };
    let path = if path.is_empty() { "/" } else { path };
    let failed = |e: String| AppError::Failed(format!("{url}: {e}"));
    let stream = connected(&address).map_err(|e| failed(e.to_string()))?;
    let answer = if scheme == "https" {
        let stream = secured(stream, name, authorities).map_err(failed)?;
        ask(stream, host, path)
    } else {
        ask(stream, host, path)
    };
    let answer = answer.map_err(|e| failed(e.to_string()))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("no status");
    if status.parse::<u16>().is_err() {
        return Err(AppError::Failed(format!("{url}: the answer is no HTTP")));
    }
    Ok((status == "200", body.trim_end().to_owned()))
}

fn connected(address: &str) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn secured(stream: TcpStream, name: &str, authorities: Option<&Path>) -> Result<impl Read + Write, String> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).map_err(|e| e.to_string())?;
    if let Some(file) = authorities {
        connector.set_ca_file(file).map_err(|e| format!("--ca {}: {e}", file.display()))?;
    }
    connector.build().connect(name, stream).map_err(|error| match error {
        HandshakeError::Failure(stream) => match stream.ssl().verify_result() {
            verdict if verdict.as_raw() != 0 => format!("certificate: {}", verdict.error_string()),
            _ => stream.error().to_string(),
        },
        other => other.to_string(),
    })
}

fn ask(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn served(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let n = stream.read(&mut asked).unwrap();
            assert!(asked[..n].starts_with(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    #[test]
    fn a_service_says_how_it_is() {
        let told = |answer| health(&served(answer), None).unwrap();
        assert_eq!(told("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n"), (true, "ready".to_owned()));
        let restoring = "HTTP/1.1 503 Service Unavailable\r\n\r\nrestoring partition 3\n";
        assert_eq!(told(restoring), (false, "restoring partition 3".to_owned()));
    }

    #[test]
    fn what_is_no_service_says_so() {
        let why = |url: &str| health(url, None).unwrap_err();
        assert!(matches!(why("ftp://127.0.0.1/"), AppError::Usage(m) if m.contains("no http:// or https:// URL")));
        assert!(matches!(why("http://127.0.0.1:1/readyz"), AppError::Failed(m) if m.contains("127.0.0.1:1")));
        assert!(matches!(why(&served("SSH-2.0\r\n")), AppError::Failed(m) if m.contains("no HTTP")));
    }
}
