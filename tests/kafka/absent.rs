//! What the service needs is not there yet: it says so, waits, and begins by itself.

use crate::support::{World, free_port};

fn sets(world: &World, name: &str, brokers: &str) -> Vec<String> {
    let history = r#"{"type":"reference","symbol":"GOOD","prev_close":100,"sigma_daily":0.02}"#;
    let history = world.file(&format!("{name}-history"), history);
    vec![
        format!("kafka.brokers={brokers}"),
        format!("kafka.group={name}"),
        format!("kafka.topics.market={name}-market"),
        format!("kafka.topics.alerts={name}-alerts"),
        format!("kafka.topics.dead_letters={name}-dead"),
        // A topic that is not there is looked for again every five minutes otherwise.
        "kafka.properties.\"topic.metadata.refresh.interval.ms\"=1000".into(),
        format!("state.dir={}", world.dir.join(format!("{name}-state")).display()),
        format!("history.files=[{history:?}]"),
    ]
}

const LEAP: &str = r#"{"type":"tick","symbol":"GOOD","ts":1737990000000000000,"price":110,"seq":1}"#;

/// No broker at the start, and none again at the end.
pub(crate) fn broker(world: &World) {
    let dir = world.broker("broker-absent").to_str().unwrap().to_owned();
    let port = free_port().to_string();
    let boot = format!("127.0.0.1:{port}");
    let service = world.serve("config/bench.toml", &sets(world, "absent", &boot));
    service.await_unready(&boot);
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.taken(), 0.0);
    assert_eq!(service.json("/v1/alerts")["alerts"].as_array().unwrap().len(), 0);

    // Nothing has been read, nothing is to be committed, and nobody is there: the end must not wait for it.
    let bystander = world.serve("config/bench.toml", &sets(world, "bystander", &boot));
    bystander.await_unready(&boot);
    bystander.terminate();

    world.script(&["start", &dir, &port]);
    world.client(&["topics", &boot, "absent-market:2", "absent-alerts:1", "absent-dead:1"]);
    service.await_ready();
    let leap = world.file("absent-leap", LEAP);
    world.client(&["produce", &boot, "absent-market", &leap]);
    service.await_taken(1.0);

    // One more record is taken and the broker goes before the end: a clean end all the same.
    world.client(&["produce", &boot, "absent-market", &leap]);
    service.await_taken(2.0);
    let seen = world.client(&["consume", &boot, "absent-alerts", "--from-beginning", "--until-end"]);
    assert_eq!(seen.lines().count(), 1, "{seen}");
    world.script(&["kill", &dir]);
    service.await_unready(&boot);
    service.terminate();
}

/// A setting that the client library does not know is said at once.
pub(crate) fn setting(world: &World) {
    let mut sets = sets(world, "misspelt", &world.boot);
    sets.push("kafka.properties.fetch.wait.maximum.ms=1".into());
    let said = world.refuse("config/bench.toml", &sets);
    assert!(said.contains("kafka.properties") && said.contains("fetch.wait.maximum.ms"), "{said}");
}

/// A broker without the topic.
pub(crate) fn topic(world: &World) {
    let service = world.serve("config/bench.toml", &sets(world, "later", &world.boot));
    service.await_unready("topic later-market does not exist");
    world.create(&["later-market:1", "later-alerts:1", "later-dead:1"]);
    service.await_ready();
    let leap = world.file("later-leap", LEAP);
    world.client(&["produce", &world.boot, "later-market", &leap]);
    service.await_taken(1.0);
    service.terminate();
    let alerts = world.records("later-alerts");
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].json()["kind"], "open");
}
