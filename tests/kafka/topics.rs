//! Topics, settings and rights as code, judged by what Apache's own client finds.

use crate::support::{World, free_port, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// `topics plan` or `apply`, of the defaults with these settings: exit code, lines, and what was said besides.
fn topics(world: &World, command: &str, sets: &[String]) -> (Option<i32>, Vec<String>, String) {
    let nothing = world.file("topics.toml", "");
    let mut args = vec!["topics", command, "--strict", "--config", &nothing];
    args.extend(sets.iter().flat_map(|s| ["--set", s]));
    let (code, out, err) = world.ask(&args);
    (code, out.lines().map(str::to_owned).collect(), err)
}

const DAY: &str = "kafka.layout.retention_hours.market=24";
const ROLES: [&str; 7] = ["market", "reference", "alerts", "state", "members", "snapshots", "dead_letters"];

fn named(prefix: &str) -> Vec<String> {
    ROLES.iter().map(|role| format!("kafka.topics.{role}={prefix}{role}")).collect()
}

fn with(sets: &[String], more: &[&str]) -> Vec<String> {
    sets.iter().cloned().chain(more.iter().map(|s| (*s).to_owned())).collect()
}

/// Lines that tell a difference.
fn differences(lines: &[String]) -> Vec<&str> {
    lines.iter().filter(|line| !line.starts_with("ok ")).map(String::as_str).collect()
}

fn described(world: &World, boot: &str, prefix: &str) -> Vec<Value> {
    let names = ROLES.map(|role| format!("{prefix}{role}"));
    let args: Vec<&str> = ["describe", boot].into_iter().chain(names.iter().map(String::as_str)).collect();
    world.client(&args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn laid_out(world: &World) {
    let boot = format!("kafka.brokers='{}'", world.boot);
    let sets = with(&named("laid-"), &[&boot]);

    let (code, planned, said) = topics(world, "plan", &sets);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(planned.len(), ROLES.len(), "{planned:?}");
    assert!(planned.iter().all(|line| line.starts_with("create topic laid-")), "{planned:?}");
    // Nobody is surprised: neither the plan nor its questions made anything.
    assert_eq!(described(world, &world.boot, "laid-"), vec![Value::Null; ROLES.len()]);

    // What a broker would refuse is found before anything is changed.
    let (code, lines, said) = topics(world, "apply", &with(&sets, &["kafka.layout.replication=3"]));
    assert_eq!((code, lines.len()), (Some(1), 0), "{said}");
    assert!(said.contains("Invalid replication factor") && said.contains("nothing was changed"), "{said}");
    assert_eq!(described(world, &world.boot, "laid-"), vec![Value::Null; ROLES.len()]);

    let (code, applied, said) = topics(world, "apply", &sets);
    assert_eq!((code, &applied), (Some(0), &planned), "{said}");
    let (code, lines, said) = topics(world, "plan", &sets);
    assert_eq!((code, differences(&lines)), (Some(0), vec![]), "{said}");
    assert_eq!(lines.len(), ROLES.len());
    let topic = |role: &str, partitions: u32, settings: Value| json!({"topic": format!("laid-{role}"), "partitions": partitions, "replicas": 1, "settings": settings});
    let snapshots = json!({"cleanup.policy": "compact", "max.message.bytes": "1048588", "min.cleanable.dirty.ratio": "0.1",
        "segment.bytes": "67108864", "segment.ms": "600000"});
    let market = json!({"cleanup.policy": "delete", "message.timestamp.type": "CreateTime", "retention.ms": "604800000",
        "segment.ms": "21600000"});
    let kept = |millis: &str| json!({"cleanup.policy": "delete", "retention.ms": millis});
    let expected = [
        topic("market", 8, market),
        topic("reference", 1, json!({"cleanup.policy": "compact", "delete.retention.ms": "86400000"})),
        topic("alerts", 8, kept("2592000000")),
        topic("state", 8, json!({"cleanup.policy": "compact"})),
        topic("members", 4, kept("604800000")),
        topic("snapshots", 8, snapshots),
        topic("dead_letters", 1, kept("1209600000")),
    ];
    assert_eq!(described(world, &world.boot, "laid-"), expected);
    // Once more changes nothing.
    let (code, lines, said) = topics(world, "apply", &sets);
    assert_eq!((code, differences(&lines)), (Some(0), vec![]), "{said}");

    changed(world, &sets);
    grown(world, &sets);

    // This broker has no authorizer.
    let (code, lines, said) = topics(world, "apply", &with(&sets, &[DAY, "kafka.layout.principal=User:somebody"]));
    assert_eq!(code, Some(3), "{said}");
    let nobody = "leave  User:somebody: 22 rights wanted: the brokers have no authorizer, everybody may do everything";
    assert_eq!(differences(&lines), [nobody]);

    let (code, lines, said) = topics(world, "plan", &with(&sets, &["kafka.brokers=127.0.0.1:1"]));
    assert_eq!((code, lines.len(), said.lines().count()), (Some(1), 0, 1), "{said}");
    assert!(said.contains("no answer from kafka at 127.0.0.1:1 for 10s") && said.contains("refused"), "{said}");
}

/// Settings changed by hand: those that are wrong come back, and those that are none of ours stay.
fn changed(world: &World, sets: &[String]) {
    let by_hand = |topic: &str, setting: &str| world.client(&["set", &world.boot, topic, setting]);
    by_hand("laid-alerts", "retention.ms=3600000");
    by_hand("laid-alerts", "flush.ms=12345");
    by_hand("laid-reference", "cleanup.policy=delete");
    by_hand("laid-market", "retention.ms=-1");
    let expected = [
        "set    topic laid-reference: cleanup.policy delete, wanted compact",
        "set    topic laid-alerts: retention.ms 3600000, wanted at least 2592000000",
    ];
    // A broker answers from what it has heard, which may be a moment old.
    until("the changes are told", Duration::from_secs(10), || {
        let (code, lines, _) = topics(world, "plan", sets);
        (code == Some(3) && differences(&lines) == expected).then_some(())
    });
    let (code, lines, said) = topics(world, "apply", sets);
    assert_eq!((code, differences(&lines)), (Some(0), expected.to_vec()), "{said}");
    let settings = |at: usize| described(world, &world.boot, "laid-")[at]["settings"].clone();
    let alerts = json!({"cleanup.policy": "delete", "flush.ms": "12345", "retention.ms": "2592000000"});
    assert_eq!(settings(2), alerts, "a setting that nobody spoke of is another");
    assert_eq!(settings(1)["cleanup.policy"], "compact");

    // What is kept longer stays so, until the configuration says otherwise.
    let day = with(sets, &[DAY]);
    let (code, lines, said) = topics(world, "apply", &day);
    let shortened = "set    topic laid-market: retention.ms -1, wanted 86400000; older records are deleted";
    assert_eq!((code, differences(&lines)), (Some(0), vec![shortened]), "{said}");
    assert_eq!(settings(0)["retention.ms"], "86400000");
}

/// More partitions where they are stated, and never fewer.
fn grown(world: &World, sets: &[String]) {
    let sets = with(sets, &[DAY]);
    let stated = |counts: &[&str]| {
        let counts: Vec<String> = counts.iter().map(|c| format!("kafka.layout.partitions.{c}")).collect();
        with(&sets, &counts.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let ten = stated(&["market=10", "alerts=4"]);
    let expected = [
        "raise  topic laid-market: 8 partitions, wanted 10; symbols move, and for 15 minutes every lane reads the whole topic",
        "leave  topic laid-alerts: 8 partitions, wanted 4: Kafka takes none away",
    ];
    let (code, lines, said) = topics(world, "plan", &ten);
    assert_eq!((code, differences(&lines)), (Some(3), expected.to_vec()), "{said}");
    let (code, lines, said) = topics(world, "apply", &ten);
    assert_eq!((code, differences(&lines)), (Some(3), expected.to_vec()), "{said}");
    let partitions: Vec<_> = described(world, &world.boot, "laid-").iter().map(|t| t["partitions"].clone()).collect();
    assert_eq!(partitions, [10, 1, 8, 8, 4, 8, 1]);
    let (code, lines, said) = topics(world, "plan", &sets);
    assert_eq!((code, differences(&lines)), (Some(0), vec![]), "{said}");
}

/// A broker that asks who everybody is: an operator with the rights that the documents name makes topics and rights, those
/// suffice and are all there are, and who may not look is told so.
pub(crate) fn rights(world: &World) {
    let dir = world.broker("broker-rights").to_str().unwrap().to_owned();
    let [plain, sasl, controller] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
    let users = r#"org.apache.kafka.common.security.plain.PlainLoginModule required user_operator="secret" user_fragility="secret" user_nobody="secret";"#;
    let properties = format!(
        "listeners=PLAINTEXT://{plain},SASL_PLAINTEXT://{sasl},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{plain},SASL_PLAINTEXT://{sasl}\n\
         controller.quorum.voters=1@{controller}\n\
         sasl.enabled.mechanisms=PLAIN\n\
         listener.name.sasl_plaintext.plain.sasl.jaas.config={users}\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n"
    );
    world.script_with(&[("KAFKA_EXTRA", &properties)], &["start", &dir, plain.split_once(':').unwrap().1]);
    let state = format!("state.dir={}", world.dir.join("rights-state").display());
    let own = [
        "kafka.layout.principal=User:fragility",
        "kafka.layout.feeder_principal=User:feeder",
        "kafka.layout.reader_principal=User:reader",
        "delivery.mode=exactly_once",
        "kafka.instance_id=fragility-0",
        "kafka.lanes=2",
        &state,
    ];
    let sets = with(&named(""), &own);
    let boot = |address: &str| format!("kafka.brokers='{address}'");
    let user = |name: &str| {
        let name = format!("kafka.properties.sasl.username={name}");
        let sasl_of = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", "sasl.password=secret"];
        let properties = sasl_of.map(|p| format!("kafka.properties.{p}"));
        let [a, b, c] = properties.each_ref().map(String::as_str);
        with(&sets, &[&boot(&sasl), &name, a, b, c])
    };

    // What docs/operations.md says that the commands need: for the plan first, and for the rest then.
    let allow = |rights: &[&str]| world.client(&[&["allow", &plain, "User:operator"], rights].concat());
    let admin = user("operator");
    allow(&["TOPIC:*:DESCRIBE", "TOPIC:*:DESCRIBE_CONFIGS", "CLUSTER:kafka-cluster:DESCRIBE"]);
    let look = || topics(world, "plan", &admin);
    let planned = until("the operator's rights", Duration::from_secs(10), || {
        let (code, lines, _) = look();
        (code == Some(3)).then_some(lines)
    });
    let (code, lines, said) = topics(world, "apply", &admin);
    assert_eq!((code, lines.len()), (Some(1), 0), "{said}");
    assert!(said.contains("authorization failed") && said.contains("nothing was changed"), "{said}");
    allow(&["TOPIC:*:ALTER", "TOPIC:*:ALTER_CONFIGS", "CLUSTER:kafka-cluster:CREATE", "CLUSTER:kafka-cluster:ALTER"]);
    let applied = until("the operator's further rights", Duration::from_secs(10), || {
        let (code, lines, _) = topics(world, "apply", &admin);
        (code == Some(0)).then_some(lines)
    });
    assert_eq!(applied, planned);
    let granted: BTreeSet<String> =
        applied.iter().filter_map(|line| Some(entry(line.strip_prefix("grant  ")?))).collect();
    let there = world.client(&["acls", &plain]);
    let there = there.lines().filter(|line| !line.contains(" User:operator ")).map(str::to_owned);
    let there: BTreeSet<String> = there.collect();
    assert_eq!(there, granted);
    assert_eq!(there.len(), 36);
    let (code, lines, said) = look();
    assert_eq!((code, differences(&lines)), (Some(0), vec![]), "{said}");
    let all = lines.iter().filter(|line| line.starts_with("ok     User:")).count();
    assert_eq!(all, 3, "{lines:?}");

    // Neither the service nor a stranger may see settings and rights, and each is told what is wanting.
    let (code, lines, said) = topics(world, "plan", &user("fragility"));
    assert_eq!((code, lines.len()), (Some(1), 0), "{said}");
    assert!(said.contains("needs DescribeConfigs on the topic"), "{said}");
    let (code, lines, said) = topics(world, "apply", &user("nobody"));
    assert_eq!((code, lines.len()), (Some(1), 0), "{said}");
    assert!(said.contains("topic market: ") && said.contains("authorization failed"), "{said}");

    lives_with_them(world, &plain, &user("fragility"));
    world.script(&["stop", &dir]);
}

/// A line about a right in the client's words.
fn entry(line: &str) -> String {
    let (principal, right) = line.split_once(": ").unwrap();
    let (operation, rest) = right.split_once(' ').unwrap();
    let rest = rest.replace("transactional id", "transactional_id");
    let mut words: Vec<&str> = rest.split(' ').collect();
    let name = words.pop().unwrap();
    let pattern = if words.pop_if(|word| *word == "prefix").is_some() { "PREFIXED" } else { "LITERAL" };
    let resource = words.concat().to_uppercase();
    format!("ALLOW {principal} * {} {resource} {pattern} {name}", operation.to_uppercase())
}

/// The service with the rights that were granted: input, every output, transactions, and a second life from the topics.
fn lives_with_them(world: &World, boot: &str, sets: &[String]) {
    let sets = with(sets, &["state.topic_interval_secs=1", "alerts.heartbeat_secs=1"]);
    let reference =
        r#"{"type":"reference","symbol":"NVDA","session":"2025-01-27","prev_close":142.62,"sigma_daily":0.0295758}"#;
    let reference = world.file("rights-reference", &format!("NVDA|reference\t{reference}\n"));
    world.client(&["produce", boot, "reference", &reference]);
    let tick = |second: &str, price: &str, seq: u32| {
        format!(r#"NVDA	{{"type":"tick","symbol":"NVDA","ts":"2025-01-27T14:{second}Z","price":{price},"seq":{seq}}}"#)
    };
    let ticks = [
        tick("39:59", "142.10", 1),
        tick("40:00.1", "128.10", 2),
        tick("40:00.2", "128.12", 3),
        tick("40:00.3", "128.08", 4),
        "NVDA\tnot json".to_owned(),
    ];
    let market = world.file("rights-market", &ticks.join("\n"));
    let service = world.serve("config/fragility.toml", &sets);
    service.await_ready();
    world.client(&["produce", boot, "market", &market]);
    service.await_taken(5.0);
    until("the alert", Duration::from_secs(30), || (service.alerts() >= 1.0).then_some(()));
    let count = |topic: &str| {
        let seen = world.client(&["consume", boot, topic, "--from-beginning", "--until-end", "--timeout", "30"]);
        seen.lines().count()
    };
    for topic in ["alerts", "state", "members", "dead_letters", "snapshots"] {
        until(&format!("something in {topic}"), Duration::from_secs(30), || (count(topic) > 0).then_some(()));
    }
    let refusals = |log: String| {
        log.lines()
            .filter(|l| l.to_lowercase().contains("authoriz") || l.contains("not allowed"))
            .map(str::to_owned)
            .next()
    };
    assert_eq!(refusals(service.log()), None);
    service.terminate();
    std::fs::remove_dir_all(world.dir.join("rights-state")).unwrap();
    let service = world.serve("config/fragility.toml", &sets);
    service.await_ready();
    let restored = service.metrics().get("fragility_restores_total{from=\"snapshot\"}").copied();
    assert!(restored.is_some_and(|n| n >= 1.0), "{restored:?}");
    assert_eq!(refusals(service.log()), None);
    service.terminate();
}
