//! The HTTP side against strangers: TLS, tokens and bounds, over real connections.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "real connections are waited for in real time, up to a deadline")]

#[path = "certificates/mod.rs"]
mod certificates;

use certificates::{Authority, EXPIRED, VALID};
use fragility::app::{AppError, health};
use fragility::config::Http;
use fragility::http::{Access, router, serve};
use fragility::lane::Shared;
use fragility::telemetry::Metrics;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const TOKEN: &str = "0123456789abcdef-desk";

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("fragility-access-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.0.join(name), text).unwrap();
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The HTTP side of a service that has no lane.
struct Served {
    address: SocketAddr,
    access: Arc<Access>,
    metrics: Arc<Metrics>,
    _runtime: Runtime,
}

impl Served {
    fn new(tls: Option<(PathBuf, PathBuf)>, tokens: Option<PathBuf>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let http = Http { listen: "127.0.0.1:0".parse().unwrap(), tls, tokens };
        let access = Arc::new(Access::new(&http).unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let listener = runtime.block_on(tokio::net::TcpListener::bind(http.listen)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::new(metrics.clone(), 0));
        let routes = router(shared, Vec::new(), None, access.clone());
        runtime.spawn(serve(listener, routes, access.clone(), metrics.clone()));
        Self { address, access, metrics, _runtime: runtime }
    }

    /// Connects in the clear.
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// What is answered to these lines.
    fn ask(&self, lines: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(format!("{lines}\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn status(&self, lines: &str) -> String {
        self.ask(lines).split(' ').nth(1).unwrap_or("none").to_owned()
    }

    fn refused(&self, reason: &str) -> u64 {
        self.metrics.http_refused.with_label_values(&[reason]).get()
    }

    /// The verdict of `health`, and what it says.
    fn health(&self, host: &str, authorities: Option<&Path>) -> Result<String, String> {
        match health(&format!("https://{host}:{}/healthz", self.address.port()), authorities) {
            Ok((true, answer)) => Ok(answer),
            Ok((false, answer)) => Err(answer),
            Err(AppError::Failed(why) | AppError::Usage(why)) => Err(why),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_who_has_a_token_is_answered_and_probes_always() {
    let scratch = Scratch::new("tokens");
    let file = scratch.file("tokens", &format!("# desk\n{TOKEN}\n"));
    let served = Served::new(None, Some(file.clone()));
    for open in ["/healthz", "/readyz"] {
        assert_ne!(served.status(&format!("GET {open} HTTP/1.1")), "401", "{open}");
    }
    for path in ["/", "/metrics", "/metrics/symbols", "/v1/state", "/v1/alerts", "/v1/stream", "/nowhere", "//healthz"]
    {
        let answer = served.ask(&format!("GET {path} HTTP/1.1"));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
        let head = answer.to_ascii_lowercase();
        assert!(head.contains("www-authenticate: bearer") && head.contains("www-authenticate: basic"), "{answer}");
        assert!(!answer.contains(TOKEN));
    }
    let with = |value: &str| served.status(&format!("GET /metrics HTTP/1.1\r\nAuthorization: {value}"));
    assert_eq!(with(&format!("Bearer {TOKEN}")), "200");
    // "board:0123456789abcdef-desk", as a browser sends it.
    assert_eq!(with("Basic Ym9hcmQ6MDEyMzQ1Njc4OWFiY2RlZi1kZXNr"), "200");
    for wrong in
        [format!("Bearer {TOKEN}x"), format!("Bearer {}", &TOKEN[1..]), format!("Token {TOKEN}"), "Bearer".into()]
    {
        assert_eq!(with(&wrong), "401", "{wrong}");
    }
    assert_eq!(served.refused("token"), 12);

    // Tokens change without a restart; a file that is wrong changes nothing.
    fs::write(&file, "fedcba9876543210\n").unwrap();
    served.access.reread().unwrap();
    assert_eq!((with(&format!("Bearer {TOKEN}")), with("Bearer fedcba9876543210")), ("401".into(), "200".into()));
    fs::write(&file, "short\n").unwrap();
    assert!(served.access.reread().unwrap_err().contains("line 1: no token of 16"));
    assert_eq!(with("Bearer fedcba9876543210"), "200");
}

#[test]
fn tls_is_spoken_with_who_the_authority_vouches_for() {
    let scratch = Scratch::new("tls");
    let (ours, theirs) = (Authority::new(&scratch.0, "ours"), Authority::new(&scratch.0, "theirs"));
    let issued = ours.issue("server", VALID);
    let served = Served::new(Some((issued.certificate.clone(), issued.key.clone())), None);
    assert_eq!(served.health("localhost", Some(&ours.file)), Ok("ok".to_owned()));
    assert_eq!(served.health("127.0.0.1", Some(&ours.file)), Ok("ok".to_owned()));
    for (authorities, why) in [(Some(&*theirs.file), "certificate: "), (None, "certificate: ")] {
        let said = served.health("localhost", authorities).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    // In the clear nothing is said.
    assert_eq!(served.status("GET /metrics HTTP/1.1"), "none");
    assert!(served.refused("tls") >= 2);

    // A renewed certificate is taken without a restart, and one that does not fit its key is not.
    let expired = ours.issue("expired", EXPIRED);
    fs::copy(&expired.certificate, &issued.certificate).unwrap();
    let said = served.access.reread().unwrap_err();
    assert!(said.contains("http.tls_key") && said.contains("mismatch"), "{said}");
    assert_eq!(served.health("localhost", Some(&ours.file)), Ok("ok".to_owned()));
    fs::copy(&expired.key, &issued.key).unwrap();
    served.access.reread().unwrap();
    let said = served.health("localhost", Some(&ours.file)).unwrap_err();
    assert!(said.contains("certificate: certificate has expired"), "{said}");
}

#[test]
fn files_that_are_wrong_are_named() {
    let scratch = Scratch::new("wrong");
    let authority = Authority::new(&scratch.0, "ours");
    let issued = authority.issue("server", VALID);
    let text = scratch.file("text", "no certificate\n");
    let missing = scratch.0.join("missing");
    let why = |tls: Option<(&Path, &Path)>, tokens: Option<&Path>| {
        let tls = tls.map(|(certificate, key)| (certificate.to_owned(), key.to_owned()));
        let http = Http { listen: "127.0.0.1:0".parse().unwrap(), tls, tokens: tokens.map(Path::to_owned) };
        Access::new(&http).err().unwrap()
    };
    let (certificate, key) = (&*issued.certificate, &*issued.key);
    for (said, wanted) in [
        (why(Some((&missing, key)), None), ["http.tls_certificate: ", "No such file"]),
        (why(Some((certificate, &missing)), None), ["http.tls_key: ", "No such file"]),
        (why(Some((&text, key)), None), ["http.tls_certificate: ", "no start line"]),
        (why(Some((certificate, &text)), None), ["http.tls_key: ", "text: "]),
        (why(None, Some(&missing)), ["http.token_file: ", "No such file"]),
    ] {
        assert!(wanted.iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn what_a_stranger_sends_is_bounded() {
    let served = Served::new(None, None);
    let headers = |n: usize| "\r\nX-Many: 1".repeat(n);
    assert_eq!(served.status(&format!("GET /healthz HTTP/1.1{}", headers(40))), "200");
    assert_eq!(served.status(&format!("GET /healthz HTTP/1.1{}", headers(80))), "431");
    assert_eq!(served.status(&format!("GET /healthz HTTP/1.1\r\nX-Long: {}", "a".repeat(64 * 1024))), "431");
    assert_ne!(served.status(&format!("GET /v1/symbols/{} HTTP/1.1", "A".repeat(64 * 1024))), "200");
    assert_eq!(served.status("POST /metrics HTTP/1.1\r\nContent-Length: 0"), "405");
    // A body that nobody wants is not taken.
    assert_eq!(served.status("DELETE /v1/state HTTP/1.1\r\nContent-Length: 1000000000000"), "405");
    assert_eq!(served.status("nonsense"), "400");
}

#[test]
fn a_page_from_elsewhere_cannot_have_its_name_point_here() {
    let served = Served::new(None, None);
    let as_host = |host: &str| {
        let mut stream = served.connect();
        stream
            .write_all(format!("GET /v1/state HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for own in ["localhost", "LOCALHOST:9600", "127.0.0.1", "127.0.0.1:80", "[::1]:9600", "[::1]"] {
        assert_eq!(as_host(own), "200", "{own}");
    }
    for foreign in ["rebound.example", "localhost.example:9600", "127.0.0.1.example"] {
        assert_eq!(as_host(foreign), "421", "{foreign}");
    }
    assert_eq!(served.refused("host"), 3);
}

#[test]
fn live_streams_leave_room_for_the_rest() {
    let served = Served::new(None, None);
    let open = || {
        let mut stream = served.connect();
        stream.write_all(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, String::from_utf8_lossy(&head).into_owned())
    };
    let streams: Vec<_> = (0..128).map(|_| open()).collect();
    assert!(streams.iter().all(|(_, head)| head == "HTTP/1.1 200"));
    assert_eq!(open().1, "HTTP/1.1 503");
    assert_eq!(served.refused("streams"), 1);
    assert_eq!(served.status("GET /healthz HTTP/1.1"), "200");
    drop(streams);
    let mut seen = String::new();
    for _ in 0..100 {
        seen = open().1;
        if seen == "HTTP/1.1 200" {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("places are not given back: {seen}");
}
