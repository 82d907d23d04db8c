//! The four layers, what is refused and how it is said, and what the configuration hash covers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::config::{ConfigErrors, DEFAULTS, Loaded, load, load_text};
use harness::repo;

fn loaded(toml: &str, environment: &[(&str, &str)], sets: &[&str]) -> Result<Loaded, ConfigErrors> {
    let environment: Vec<(String, String)> =
        environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    load_text("test.toml", toml, &environment, &sets)
}

/// Value and origin of a key in the effective configuration.
fn effective(loaded: &Loaded, key: &str) -> Option<(String, String)> {
    loaded.effective.iter().find(|(k, ..)| k == key).map(|(_, value, origin)| (value.clone(), origin.to_string()))
}

fn check_layers(toml: &str, environment: &[(&str, &str)], sets: &[&str], key: &str, expected: (&str, &str)) {
    let loaded = loaded(toml, environment, sets).unwrap_or_else(|e| panic!("{:?}", e.problems().collect::<Vec<_>>()));
    let got = effective(&loaded, key).unwrap_or_else(|| panic!("{key} is not in the effective configuration"));
    assert_eq!((got.0.as_str(), got.1.as_str()), expected, "{key}");
}

#[test]
fn every_shipped_configuration_loads() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repo("config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            load(&path, &[], &[])
                .unwrap_or_else(|e| panic!("{}: {:?}", path.display(), e.problems().collect::<Vec<_>>()));
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn the_defaults_say_the_same_as_nothing() {
    let (nothing, all) = (loaded("", &[], &[]).unwrap(), loaded(DEFAULTS, &[], &[]).unwrap());
    assert_eq!(nothing.config.params.config_hash, all.config.params.config_hash);
    assert_eq!(nothing.config.kafka, all.config.kafka);
    assert!(nothing.effective.iter().all(|(.., origin)| origin.to_string() == "defaults"));
}

/// Key, part of the message, and the text its span covers.
fn check_problems(toml: &str, expected: &[(&str, &str, &str)]) {
    let errors = loaded(toml, &[], &[]).unwrap_err();
    let got: Vec<_> = errors.problems().collect();
    let keys: Vec<&str> = got.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, expected.iter().map(|(key, ..)| *key).collect::<Vec<_>>(), "{got:#?}");
    for (problem, (key, message, covered)) in got.iter().zip(expected) {
        assert!(problem.message.contains(message), "{key}: {}", problem.message);
        assert_eq!(problem.origin, "file", "{key}");
        let span = problem.span.clone().unwrap_or_else(|| panic!("{key} has no span"));
        assert!(toml[span.clone()].contains(covered), "{key}: {:?}", &toml[span]);
    }
}

#[test]
fn five_mistakes_are_five_problems_at_once() {
    let toml = r#"
[http]
listen = "somewhere"

[market]
lateness_ms = -1
colour = "red"

[alerts]
format = "fancy"

[rules.symbol_shock]
close_at = "low"
"#;
    check_problems(
        toml,
        &[
            ("alerts.format", "must be one of full, compact", "fancy"),
            ("http.listen", "must be ADDRESS:PORT", "somewhere"),
            ("market.colour", "unknown field", "colour"),
            ("market.lateness_ms", "must be from 0 to 3600000", "-1"),
            ("rules.symbol_shock.close_at", "invalid type", "low"),
        ],
    );
}

#[test]
fn every_kind_of_value_has_its_bounds() {
    for (toml, key, message) in [
        ("[rules.symbol_shock]\ntiers = [4.0, 3.0]", "rules.symbol_shock.tiers", "ascending"),
        ("[kafka.properties]\n'ssl.providers' = 'x'", "kafka.properties.ssl.providers", "loads code into the service"),
        ("[kafka.properties]\n'sasl.mechanism' = 'OAUTHBEARER'", "kafka.oauth_token_file", "asks for SASL OAUTHBEARER"),
        ("[http]\ntls_certificate = 'a.pem'", "http.tls_key", "TLS needs both"),
        ("[http]\ntls_key = 'a.pem'", "http.tls_certificate", "TLS needs both"),
        ("[rules.symbol_shock]\ntiers = []", "rules.symbol_shock.tiers", "1 to 16"),
        ("[rules.symbol_shock]\ntiers = [nan]", "rules.symbol_shock.tiers", "from 0.1"),
        ("[rules.symbol_shock]\nclose_at = 3.0", "rules.symbol_shock.close_at", "below the first tier"),
        ("[rules.symbol_shock]\nclose_at = nan", "rules.symbol_shock.close_at", "below the first tier"),
        ("[volatility]\nfast_half_life_secs = 0.0", "volatility.fast_half_life_secs", "must be from"),
        ("[volatility]\nfast_half_life_secs = nan", "volatility.fast_half_life_secs", "must be from"),
        ("[kafka.topics]\nmarket = \"\"", "kafka.topics.market", "is empty"),
        ("[kafka.topics]\nalerts = \"a b\"", "kafka.topics.alerts", "not a topic name"),
        (
            "[kafka.properties]\n\"enable.auto.commit\" = true",
            "kafka.properties.enable.auto.commit",
            "set by the service",
        ),
        ("[kafka.layout]\nreplication = -1", "kafka.layout.replication", "from 0 to 100"),
        (
            "[kafka.layout]\nmin_insync_replicas = 2",
            "kafka.layout.min_insync_replicas",
            "needs kafka.layout.replication",
        ),
        (
            "[kafka.layout]\nreplication = 1\nmin_insync_replicas = 2",
            "kafka.layout.min_insync_replicas",
            "at most kafka.layout.replication, 1",
        ),
        ("[kafka.layout]\nprincipal = \"fragility\"", "kafka.layout.principal", "TYPE:NAME"),
        ("[kafka.layout]\nreader_principal = \"User:*\"", "kafka.layout.reader_principal", "of one user"),
        ("[kafka.layout]\nretention = 1", "kafka.layout.retention", "unknown field"),
        ("[kafka.layout.partitions]\nmarket = 10001", "kafka.layout.partitions.market", "from 0 to 10000"),
        ("[kafka.layout.partitions]\nmarkets = 8", "kafka.layout.partitions.markets", "unknown field"),
        ("[kafka.layout.retention_hours]\nalerts = -2", "kafka.layout.retention_hours.alerts", "from -1 to 876000"),
        ("[kafka.layout.retention_hours]\nstate = 1", "kafka.layout.retention_hours.state", "unknown field"),
        (
            "[kafka.layout.retention_hours]\nmembers = 100",
            "kafka.layout.retention_hours.members",
            "at least that of market, 168",
        ),
        (
            "[kafka.layout.retention_hours]\nmarket = -1\nmembers = 1000",
            "kafka.layout.retention_hours.members",
            "at least that of market, -1",
        ),
        ("[delivery]\nmode = \"at_most_once\"", "delivery.mode", "must be one of at_least_once, exactly_once"),
        ("[delivery]\nmode = \"twice\"", "delivery.mode", "at_least_once"),
        ("[ruler]\novernight_share = 1.0", "ruler.overnight_share", "must be from"),
        ("[ruler]\novernight_share_min = 0.7", "ruler.overnight_share_min", "at most overnight_share_max"),
        ("[ruler]\nlearn_sessions = 64", "ruler.learn_sessions", "from 21 to 63"),
        ("[ruler]\npre_market_share = nan", "ruler.pre_market_share", "must be from"),
        ("[ruler]\ncurve = [1.0]", "ruler.curve", "13 shares"),
        ("[ruler]\ncurve = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1]", "ruler.curve", "13 shares"),
        ("[ruler.groups.a]\nsymbols = [\"\"]", "ruler.groups.a.symbols", "empty"),
        (
            "[ruler.groups.a]\nsymbols = [\"X\"]\n[ruler.groups.b]\nsymbols = [\"X\"]",
            "ruler.groups.b.symbols",
            "is in group \"a\" too",
        ),
        ("[market]\ncalendar = \"XLON\"", "market.calendar", "XNYS, none"),
        ("[market]\neligibility = \"no-such-file.toml\"", "market.eligibility", "cannot be read"),
        ("[market]\neligibility = \"Cargo.toml\"", "market.eligibility", "unknown field"),
        ("[market.extended]\nprints_min = -1", "market.extended.prints_min", "from 0 to 1000000"),
        ("[market.extended]\nvalue_min_usd = nan", "market.extended.value_min_usd", "must be from 0"),
        ("[market.extended]\nvenues_min = 9", "market.extended.venues_min", "from 0 to 8"),
        ("[input]\nformat = \"fax\"", "input.format", "native, polygon, alpaca"),
        ("[input.dxlink]\nQuote = [\"eventType\"]", "input.dxlink.Quote", "one of Trade, TradeETH, TimeAndSale"),
        ("[input.dxlink]\nTrade = [\"price\"]", "input.dxlink.Trade", "must begin with eventType"),
        ("[input.dxlink]\nTrade = [\"eventType\", \"eventSymbol\", \"price\"]", "input.dxlink.Trade", "lacks time"),
        (
            "[input.dxlink]\nTrade = [\"eventType\", \"eventSymbol\", \"time\", \"price\", \"time\"]",
            "input.dxlink.Trade",
            "has time twice",
        ),
        (
            "[groups.g]\nmembers = [\"\"]\nlevels = { watch = { basket_z = 1.0, rms_z = 1.0, members = 1, legs = 4 }, alert = { basket_z = 1.0, rms_z = 1.0, members = 1, legs = 1 }, critical = { basket_z = 1.0, rms_z = 1.0, members = 1, legs = 1 } }",
            "groups.g.members",
            "empty",
        ),
    ] {
        let errors = loaded(toml, &[], &[]).unwrap_err();
        let found = errors.problems().find(|p| p.key == key).unwrap_or_else(|| panic!("{toml}: {errors:?}"));
        assert!(found.message.contains(message), "{key}: {}", found.message);
    }
}

#[test]
fn the_table_of_sale_conditions_is_built_in_replaced_or_left_out() {
    let version = |set: &[&str]| {
        let params = loaded("", &[], set).unwrap_or_else(|e| panic!("{set:?}: {e:?}")).config.params;
        params.eligibility.map(|t| t.version().to_owned())
    };
    assert_eq!(version(&[]), Some("2026.1".to_owned()));
    assert_eq!(version(&["market.eligibility=config/eligibility/us_sip.toml"]), Some("2026.1".to_owned()));
    assert_eq!(version(&["market.eligibility=none"]), None);
    assert!(load(&repo("config/bench.toml"), &[], &[]).unwrap().config.params.eligibility.is_none());
    let gate = loaded("", &[], &[]).unwrap().config.params.extended;
    assert_eq!((gate.prints_min, gate.value_min, gate.venues_min), (3, 100_000.0, 2));
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_one_problem() {
    let errors = loaded("[kafka\n", &[], &[]).unwrap_err();
    assert_eq!(errors.problems().count(), 1);
    assert!(errors.problems().next().unwrap().span.is_some());
    let missing = load(&repo("config/no-such-file.toml"), &[], &[]).unwrap_err();
    assert!(missing.problems().next().unwrap().message.contains("cannot be read"));
}

#[test]
fn later_layers_win_and_say_where_they_came_from() {
    let file = "[kafka]\nbrokers = \"file:1\"\n";
    let variable = [("FRAGILITY__KAFKA__BROKERS", "env:1")];
    let flag = ["kafka.brokers=flag:1"];
    check_layers("", &[], &[], "kafka.brokers", ("\"127.0.0.1:9092\"", "defaults"));
    check_layers(file, &[], &[], "kafka.brokers", ("\"file:1\"", "file"));
    check_layers(file, &variable, &[], "kafka.brokers", ("\"env:1\"", "FRAGILITY__KAFKA__BROKERS"));
    check_layers(file, &variable, &flag, "kafka.brokers", ("\"flag:1\"", "--set"));
    check_layers(file, &[], &["kafka.brokers=a:1", "kafka.brokers=b:2,c:3"], "kafka.brokers", ("\"b:2,c:3\"", "--set"));
    // A neighbour keeps its own origin.
    check_layers(file, &variable, &flag, "kafka.group", ("\"fragility\"", "defaults"));
}

#[test]
fn values_are_read_as_toml_else_as_text() {
    check_layers("", &[], &["market.lateness_ms=5000"], "market.lateness_ms", ("5000", "--set"));
    check_layers(
        "",
        &[],
        &["rules.symbol_shock.tiers=[4.0, 5.0]"],
        "rules.symbol_shock.tiers",
        ("[4.0, 5.0]", "--set"),
    );
    check_layers("", &[], &["rules.symbol_shock.updates=false"], "rules.symbol_shock.updates", ("false", "--set"));
    check_layers("", &[], &["kafka.group=\"quoted\""], "kafka.group", ("\"quoted\"", "--set"));
    check_layers("", &[], &["kafka.group=plain-text"], "kafka.group", ("\"plain-text\"", "--set"));
    check_layers("", &[], &["state.dir=/var/lib/x=y"], "state.dir", ("\"/var/lib/x=y\"", "--set"));
    check_layers(
        "",
        &[],
        &["history.files=[\"a.csv\", \"b.csv\"]"],
        "history.files",
        ("[\"a.csv\", \"b.csv\"]", "--set"),
    );
    let variable = [("FRAGILITY__RULES__SYMBOL_SHOCK__CLOSE_AT", "2.0")];
    check_layers(
        "",
        &variable,
        &[],
        "rules.symbol_shock.close_at",
        ("2.0", "FRAGILITY__RULES__SYMBOL_SHOCK__CLOSE_AT"),
    );
    // A whole number where a real one is wanted is one.
    assert!(loaded("", &[], &["rules.symbol_shock.close_at=2"]).is_ok());
}

#[test]
fn mistakes_in_environment_and_flags_name_their_origin() {
    let variable = [("FRAGILITY__MARKET__LATENESS_MS", "soon"), ("FRAGILITY__NOWHERE", "1")];
    let errors = loaded("", &variable, &["log.format=loud", "no-equals-sign"]).unwrap_err();
    let mut got: Vec<(String, String)> = errors.problems().map(|p| (p.key.clone(), p.origin.clone())).collect();
    got.sort();
    let expected = [
        ("log.format", "--set"),
        ("market.lateness_ms", "FRAGILITY__MARKET__LATENESS_MS"),
        ("no-equals-sign", "--set"),
        ("nowhere", "FRAGILITY__NOWHERE"),
    ];
    assert_eq!(got, expected.map(|(k, o)| (k.to_owned(), o.to_owned())));
    assert!(errors.problems().all(|p| p.span.is_none()), "nothing of this stands in the file");
}

#[test]
fn librdkafka_keys_are_one_key_each_from_every_layer() {
    let toml =
        "[kafka.properties]\n\"queued.min.messages\" = 1000\n\"socket.keepalive.enable\" = true\n\"debug\" = \"all\"\n";
    let variable = [("FRAGILITY__KAFKA__PROPERTIES__SASL_PASSWORD", "hush")];
    let loaded =
        loaded(toml, &variable, &["kafka.properties.fetch.wait.max.ms=50", "kafka.properties.linger.ms=0.5"]).unwrap();
    let got: Vec<(&str, &str)> = loaded.config.kafka.properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected = [
        ("debug", "all"),
        ("fetch.wait.max.ms", "50"),
        ("linger.ms", "0.5"),
        ("queued.min.messages", "1000"),
        ("sasl.password", "hush"),
        ("socket.keepalive.enable", "true"),
    ];
    assert_eq!(got, expected);
    assert_eq!(effective(&loaded, "kafka.properties.fetch.wait.max.ms"), Some(("50".into(), "--set".into())));
}

#[test]
fn secrets_are_masked_whatever_layer_they_come_from() {
    let toml = "[kafka.properties]\n\"ssl.key.password\" = \"hunter2\"\n\"sasl.username\" = \"desk\"\n";
    let variable = [("FRAGILITY__KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2")];
    let sets = ["kafka.properties.sasl.oauthbearer.client.secret=hunter2", "kafka.properties.ssl.key.pem=hunter2"];
    let loaded = loaded(toml, &variable, &sets).unwrap();
    assert!(loaded.effective.iter().all(|(_, value, _)| !value.contains("hunter2")), "{:?}", loaded.effective);
    for key in ["ssl.key.password", "sasl.password", "sasl.oauthbearer.client.secret", "ssl.key.pem"] {
        let (value, _) = effective(&loaded, &format!("kafka.properties.{key}")).unwrap();
        assert_eq!(value, "\"***\"", "{key}");
        assert_eq!(loaded.config.kafka.properties[key], "hunter2");
    }
    assert_eq!(effective(&loaded, "kafka.properties.sasl.username").unwrap().0, "\"desk\"");
}

#[test]
fn a_secret_may_be_the_content_of_a_file_and_look_like_a_number() {
    let path = std::env::temp_dir().join(format!("fragility-secret-{}", std::process::id()));
    std::fs::write(&path, "correct horse\n").unwrap();
    let file = format!("kafka.properties.ssl.key.password=file:{}", path.display());
    let variable = [("FRAGILITY__KAFKA__PROPERTIES__SASL_PASSWORD", "1e5")];
    let read = loaded("", &variable, &[&file, "kafka.properties.ssl.ca.location=file:x"]).unwrap();
    let of = |key: &str| read.config.kafka.properties[key].as_str();
    assert_eq!((of("ssl.key.password"), of("sasl.password")), ("correct horse", "1e5"));
    assert_eq!(of("ssl.ca.location"), "file:x", "no secret");
    assert!(read.effective.iter().all(|(_, value, _)| !value.contains("horse") && !value.contains("1e5")));
    std::fs::write(&path, "\n").unwrap();
    let why =
        |set: &str| loaded("", &[], &[set]).unwrap_err().problems().map(|p| p.message.clone()).collect::<String>();
    assert!(why(&file).contains("which is empty"));
    std::fs::remove_file(&path).unwrap();
    assert!(why(&file).contains("cannot be read"));
}

/// Names with a dot, in quotes, are one name.
#[test]
fn feeds_may_have_any_name() {
    let loaded = loaded("[feeds.\"vendor.sim\"]\nflag = \"SIM\"\n", &[], &[]);
    let loaded = loaded.unwrap_or_else(|e| panic!("{:?}", e.problems().collect::<Vec<_>>()));
    assert_eq!(loaded.config.params.feeds["vendor.sim"].flag.as_deref(), Some("SIM"));
}

#[test]
fn the_hash_covers_what_can_change_an_alert_and_nothing_else() {
    let hash = |set: &str| {
        let sets: &[&str] = if set.is_empty() { &[] } else { &[set] };
        loaded("", &[], sets).unwrap_or_else(|e| panic!("{set}: {e:?}")).config.params.config_hash
    };
    let plain = hash("");
    for set in [
        "kafka.brokers=elsewhere:1",
        "input.format=polygon",
        "kafka.topics.alerts=others",
        "kafka.layout.partitions.market=16",
        "kafka.properties.linger.ms=1",
        "delivery.commit_interval_ms=500",
        "state.dir=/tmp/elsewhere",
        "state.snapshot_interval_secs=60",
        "http.listen=127.0.0.1:1",
        "log.format=json",
        "log.level=debug",
        "history.files=[\"x.csv\"]",
        // The built-in history by its path.
        "history.legs=data/mag7_legs_2021_2024.csv",
        "groups.mag7.legs=built-in",
        // The built-in table by its path: the same version.
        "market.eligibility=config/eligibility/us_sip.toml",
    ] {
        assert_eq!(hash(set), plain, "{set}");
    }
    for set in [
        "rules.symbol_shock.tiers=[3.0, 4.0]",
        "rules.symbol_shock.close_at=2.4",
        "rules.symbol_shock.cooldown_secs=1",
        "rules.symbol_shock.updates=false",
        "groups.mag7.members=[\"NVDA\"]",
        "groups.mag7.coverage_min=0.9",
        "groups.mag7.largest=6",
        "groups.top50.largest=49",
        "history.legs=\"\"",
        "history.index=\"\"",
        "cluster.interval_ms=500",
        "market.calendar=none",
        "market.eligibility=none",
        "market.extended.prints_min=4",
        "market.extended.value_min_usd=1.0",
        "market.extended.venues_min=1",
        "market.lateness_ms=1",
        "universe.mode=listed",
        "feeds.x.flag=SIM",
        "volatility.fast_half_life_secs=10.0",
        "ruler.overnight_share=0.3",
        "ruler.groups.x.symbols=[\"NVDA\"]",
    ] {
        assert_ne!(hash(set), plain, "{set}");
    }
}
