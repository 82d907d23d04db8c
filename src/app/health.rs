//! `health`: asks a running service whether it is ready, for places without a shell or another HTTP client.

use super::AppError;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A service that has not answered by then is not well.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 16 * 1024;

/// Asks a `http://` URL; whether the answer is 200, and its text.
///
/// # Errors
/// When the URL is none, or there is no answer.
pub fn health(url: &str) -> Result<(bool, String), AppError> {
    let rest =
        url.strip_prefix("http://").ok_or_else(|| AppError::Usage(format!("--url {url:?} is no http:// URL")))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let path = if path.is_empty() { "/" } else { path };
    let answer = ask(&address, host, path).map_err(|e| AppError::Failed(format!("{url}: {e}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("no status");
    if status.parse::<u16>().is_err() {
        return Err(AppError::Failed(format!("{url}: the answer is no HTTP")));
    }
    Ok((status == "200", body.trim_end().to_owned()))
}

fn ask(address: &str, host: &str, path: &str) -> io::Result<String> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes())?;
                let mut answer = Vec::new();
                stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
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
        let told = |answer| health(&served(answer)).unwrap();
        assert_eq!(told("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n"), (true, "ready".to_owned()));
        let restoring = "HTTP/1.1 503 Service Unavailable\r\n\r\nrestoring partition 3\n";
        assert_eq!(told(restoring), (false, "restoring partition 3".to_owned()));
    }

    #[test]
    fn what_is_no_service_says_so() {
        let why = |url: &str| health(url).unwrap_err();
        assert!(matches!(why("https://127.0.0.1/"), AppError::Usage(m) if m.contains("no http:// URL")));
        assert!(matches!(why("http://127.0.0.1:1/readyz"), AppError::Failed(m) if m.contains("127.0.0.1:1")));
        assert!(matches!(why(&served("SSH-2.0\r\n")), AppError::Failed(m) if m.contains("no HTTP")));
    }
}
