//! TLS and SASL: one broker with a listener of each kind, its certificates and tokens made for the occasion. Who shows
//! the right thing is served; every other is told what is wrong, and no secret comes up in what the service says.

use crate::certificates::{Authority, EXPIRED, VALID};
use crate::load::{AT_LEAST_ONCE, EXACTLY_ONCE};
use crate::support::{Service, World, free_port};
use openssl::base64;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const USER: &str = "desk";
const PASSWORD: &str = "correct-horse-battery";
const WRONG_PASSWORD: &str = "wrong-horse-battery";
const AUDIENCE: &str = "kafka";
const ISSUER: &str = "https://issuer.invalid";
const LEAP: &str = r#"{"type":"tick","symbol":"GOOD","ts":1737990000000000000,"price":110,"seq":1}"#;

fn base64url(bytes: &[u8]) -> String {
    base64::encode_block(bytes).replace('+', "-").replace('/', "_").replace(['=', '\n'], "")
}

/// Signs tokens, as an identity provider does.
struct Issuer(PKey<Private>);

impl Issuer {
    fn new() -> Self {
        Self(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap())
    }

    /// The key that its tokens are checked with.
    fn key_set(&self) -> String {
        let rsa = self.0.rsa().unwrap();
        let (n, e) = (base64url(&rsa.n().to_vec()), base64url(&rsa.e().to_vec()));
        format!(r#"{{"keys":[{{"kty":"RSA","kid":"one","use":"sig","alg":"RS256","n":"{n}","e":"{e}"}}]}}"#)
    }

    /// A token that ends `seconds` from now.
    fn token(&self, audience: &str, seconds: i64) -> String {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let (issued, ends) = (now - 10, now + seconds);
        let head = base64url(br#"{"alg":"RS256","kid":"one"}"#);
        let claims = format!(
            r#"{{"iss":"{ISSUER}","sub":"{USER}","aud":"{audience}","iat":{issued},"exp":{ends},"scope":"kafka"}}"#
        );
        let signed = format!("{head}.{}", base64url(claims.as_bytes()));
        let mut pen = Signer::new(MessageDigest::sha256(), &self.0).unwrap();
        let signature = pen.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(&signature))
    }
}

/// The broker, and what clients show it.
struct Secured<'a> {
    world: &'a World,
    dir: PathBuf,
    plain: String,
    ports: [u16; 4],
    authority: PathBuf,
}

const LISTENERS: [(&str, &str); 4] = [("MTLS", "SSL"), ("SCRAM", "SASL_SSL"), ("OAUTH", "SASL_SSL"), ("STALE", "SSL")];
const MTLS: usize = 0;
const SCRAM: usize = 1;
const OAUTH: usize = 2;
const STALE: usize = 3;

impl<'a> Secured<'a> {
    fn start(world: &'a World, authority: &Authority, tokens: &Issuer) -> Self {
        let dir = authority.file.parent().unwrap().to_owned();
        let ports = LISTENERS.map(|_| free_port());
        let (plain, controller) = (free_port(), free_port());
        let key_set = dir.join("keys.json");
        fs::write(&key_set, tokens.key_set()).unwrap();
        // One file with key and certificate is what a PEM key store is.
        let store = |name: &str, validity| {
            let own = authority.issue(name, validity);
            let file = dir.join(format!("{name}.store.pem"));
            let pem = [own.key, own.certificate].map(|file| fs::read_to_string(file).unwrap()).concat();
            fs::write(&file, pem).unwrap();
            file.display().to_string()
        };
        let (good, stale) = (store("broker", VALID), store("stale-broker", EXPIRED));
        let trusted = authority.file.display();
        let mut addresses = format!("PLAINTEXT://127.0.0.1:{plain}");
        let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        let mut extra = String::new();
        for ((name, protocol), port) in LISTENERS.into_iter().zip(ports) {
            write!(addresses, ",{name}://127.0.0.1:{port}").unwrap();
            write!(protocols, ",{name}:{protocol}").unwrap();
            let prefix = format!("listener.name.{}", name.to_lowercase());
            let own = if name == "STALE" { &stale } else { &good };
            writeln!(extra, "{prefix}.ssl.keystore.type=PEM\n{prefix}.ssl.keystore.location={own}").unwrap();
            writeln!(extra, "{prefix}.ssl.truststore.type=PEM\n{prefix}.ssl.truststore.location={trusted}").unwrap();
        }
        let modules = "org.apache.kafka.common.security";
        let lines = [
            format!("listeners={addresses},CONTROLLER://127.0.0.1:{controller}"),
            format!("advertised.listeners={addresses}"),
            format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
            format!("listener.security.protocol.map={protocols}"),
            "listener.name.mtls.ssl.client.auth=required".to_owned(),
            "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512".to_owned(),
            format!("listener.name.scram.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;"),
            "listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER".to_owned(),
            format!(
                "listener.name.oauth.oauthbearer.sasl.jaas.config={modules}.oauthbearer.OAuthBearerLoginModule required;"
            ),
            format!(
                "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class={modules}.oauthbearer.OAuthBearerValidatorCallbackHandler"
            ),
            format!("listener.name.oauth.oauthbearer.sasl.oauthbearer.jwks.endpoint.url=file://{}", key_set.display()),
            format!("listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.audience={AUDIENCE}"),
            format!("listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.issuer={ISSUER}"),
        ];
        extra.push_str(&lines.join("\n"));
        let allowed = format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{}", key_set.display());
        let broker = world.broker("broker-secured");
        world.script_with(
            &[("KAFKA_EXTRA", &extra), ("JAVA_TOOL_OPTIONS", &allowed)],
            &["start", broker.to_str().unwrap(), &plain.to_string()],
        );
        let plain = format!("127.0.0.1:{plain}");
        world.client(&["scram", &plain, USER, PASSWORD]);
        Self { world, dir, plain, ports, authority: authority.file.clone() }
    }

    /// Settings of a service that comes by a listener and trusts the authority.
    fn sets(&self, name: &str, listener: usize, mode: &str) -> Vec<String> {
        let world = self.world;
        let history = r#"{"type":"reference","symbol":"GOOD","prev_close":100,"sigma_daily":0.02}"#;
        let history = world.file(&format!("{name}-history"), history);
        let protocol = LISTENERS[listener].1;
        vec![
            format!("kafka.brokers=127.0.0.1:{}", self.ports[listener]),
            format!("kafka.group={name}"),
            format!("kafka.topics.market={name}-market"),
            format!("kafka.topics.alerts={name}-alerts"),
            format!("kafka.topics.dead_letters={name}-dead"),
            format!("kafka.topics.state={name}-state"),
            format!("kafka.topics.reference={name}-reference"),
            format!("kafka.topics.snapshots={name}-snapshots"),
            format!("delivery.mode={mode}"),
            format!("state.dir={}", world.dir.join(format!("{name}-state")).display()),
            format!("history.files=[{history:?}]"),
            property("security.protocol", protocol),
            property("ssl.ca.location", &self.authority.display().to_string()),
        ]
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.dir.join(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// Serves a record and says it; what the service said while at it.
    fn is_served(&self, name: &str, sets: &[String]) -> Said {
        let topic = |what: &str, count: &str| format!("{name}-{what}:{count}");
        let compact = [topic("reference", "1:compact"), topic("state", "1:compact"), topic("snapshots", "1:compact")];
        let topics = [topic("market", "2"), topic("alerts", "1"), topic("dead", "1")];
        let all: Vec<&str> =
            ["topics", &self.plain].into_iter().chain(topics.iter().chain(&compact).map(|t| &**t)).collect();
        self.world.client(&all);
        let service = self.world.serve("config/bench.toml", sets);
        service.await_ready();
        let leap = self.world.file(&format!("{name}-leap"), LEAP);
        self.world.client(&["produce", &self.plain, &format!("{name}-market"), &leap]);
        service.await_taken(1.0);
        let alerts = format!("{name}-alerts");
        let seen = self.world.client(&["consume", &self.plain, &alerts, "--from-beginning", "--count", "1"]);
        assert!(seen.contains("GOOD"), "{seen}");
        let said = Said::end(service);
        // Written when it stops, at the latest, and by a client of its own.
        let snapshots = format!("{name}-snapshots");
        self.world.client(&["consume", &self.plain, &snapshots, "--from-beginning", "--count", "2"]);
        said
    }

    /// Is not ready, and says these things to it.
    fn is_refused(&self, sets: &[String], causes: &[&str]) -> Said {
        let service = self.world.serve("config/bench.toml", sets);
        for cause in causes {
            service.await_unready(cause);
        }
        Said::end(service)
    }
}

fn property(key: &str, value: &str) -> String {
    format!("kafka.properties.\"{key}\"={value:?}")
}

/// Everything that a service lets on.
struct Said(String);

impl Said {
    fn end(service: Service) -> Self {
        let mut all = String::new();
        for path in ["/metrics", "/metrics/symbols", "/readyz", "/v1/state", "/v1/alerts", "/"] {
            all.push_str(&service.get(path).body);
        }
        all.push_str(&service.ended());
        Self(all)
    }

    fn keeps(&self, secrets: &[&str]) {
        assert!(self.0.contains("INFO") || self.0.contains("WARN"), "no log was seen: {}", self.0);
        for secret in secrets {
            assert!(!self.0.contains(secret), "{secret} is told");
        }
    }
}

fn key_body(file: &Path) -> String {
    let pem = fs::read_to_string(file).unwrap();
    pem.lines().nth(3).unwrap().to_owned()
}

pub(crate) fn secured(world: &World) {
    let dir = world.dir.join("secured");
    fs::create_dir_all(&dir).unwrap();
    let (authority, stranger) = (Authority::new(&dir, "authority"), Authority::new(&dir, "stranger"));
    let (provider, impostor) = (Issuer::new(), Issuer::new());
    let broker = Secured::start(world, &authority, &provider);
    // As loud as it gets: what is secret stays so even then.
    let loud = ["log.level=debug".to_owned(), property("debug", "security,broker")];

    // A certificate of one's own.
    let (own, late) = (authority.issue("client", VALID), authority.issue("late-client", EXPIRED));
    let shown = |name: &str, certificate: &Path, key: &Path| {
        let mut sets = broker.sets(name, MTLS, AT_LEAST_ONCE);
        sets.push(property("ssl.certificate.location", &certificate.display().to_string()));
        sets.push(property("ssl.key.location", &key.display().to_string()));
        sets.extend(loud.clone());
        sets
    };
    broker.is_served("mtls", &shown("mtls", &own.certificate, &own.key)).keeps(&[&key_body(&own.key)]);
    broker
        .is_refused(
            &shown("mtls-late", &late.certificate, &late.key),
            &["late-client.crt.pem: the certificate expired on"],
        )
        .keeps(&[&key_body(&late.key)]);
    broker.is_refused(&broker.sets("mtls-none", MTLS, AT_LEAST_ONCE), &["ssl.certificate.location is not set"]);

    // A password, from a file.
    let with_password = |name: &str, password: &str| {
        let mut sets = broker.sets(name, SCRAM, AT_LEAST_ONCE);
        sets.push(property("sasl.mechanism", "SCRAM-SHA-512"));
        sets.push(property("sasl.username", USER));
        let file = broker.file(&format!("{name}.password"), &format!("{password}\n"));
        sets.push(property("sasl.password", &format!("file:{file}")));
        sets.extend(loud.clone());
        sets
    };
    broker.is_served("scram", &with_password("scram", PASSWORD)).keeps(&[PASSWORD]);
    broker
        .is_refused(&with_password("scram-wrong", WRONG_PASSWORD), &["Authentication failed", "SCRAM-SHA-512"])
        .keeps(&[WRONG_PASSWORD]);

    // The broker's certificate is of someone else, or out of date.
    let mut distrusting = with_password("distrusting", PASSWORD);
    distrusting.push(property("ssl.ca.location", &stranger.file.display().to_string()));
    broker.is_refused(&distrusting, &["certificate verify failed", "the certificate of 127.0.0.1"]);
    let stale = broker.sets("stale", STALE, AT_LEAST_ONCE);
    broker.is_refused(&stale, &["certificate verify failed", "certificate has expired"]);

    // What is not even a client is refused at once, and not told with its values.
    let mut unnamed = broker.sets("unnamed", SCRAM, AT_LEAST_ONCE);
    assert!(world.refuse("config/bench.toml", &unnamed).contains("No provider for SASL mechanism"));
    unnamed.push(property("sasl.passwrd", PASSWORD));
    let said = world.refuse("config/bench.toml", &unnamed);
    assert!(said.contains("sasl.passwrd") && !said.contains(PASSWORD), "{said}");

    // A token, from a file that is read again.
    let token_file = broker.file("token", &provider.token(AUDIENCE, -5));
    let with_token = |name: &str| {
        let mut sets = broker.sets(name, OAUTH, EXACTLY_ONCE);
        sets.push(property("sasl.mechanism", "OAUTHBEARER"));
        sets.push(format!("kafka.oauth_token_file={token_file}"));
        sets.extend(loud.clone());
        sets
    };
    broker.is_refused(&with_token("oauth-late"), &["kafka.oauth_token_file", "has expired"]);
    let foreign = provider.token("someone-else", 600);
    fs::write(&token_file, &foreign).unwrap();
    broker.is_refused(&with_token("oauth-foreign"), &["the broker refuses the token of"]).keeps(&[&foreign]);
    let forged = impostor.token(AUDIENCE, 600);
    fs::write(&token_file, &forged).unwrap();
    broker.is_refused(&with_token("oauth-forged"), &["the broker refuses the token of"]).keeps(&[&forged]);
    let good = provider.token(AUDIENCE, 600);
    fs::write(&token_file, &good).unwrap();
    broker.is_served("oauth", &with_token("oauth")).keeps(&[&good, good.rsplit('.').next().unwrap()]);
    world.script(&["stop", world.broker("broker-secured").to_str().unwrap()]);
}
