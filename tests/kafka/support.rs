//! A broker, services and the far side's client as processes, each bounded in time and ended with the test.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Far more than anything here takes: reaching it means that something hangs.
pub(crate) const LONG: Duration = Duration::from_secs(90);
/// The longest time a service may take to end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Asks until there is an answer.
pub(crate) fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

pub(crate) fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The service as these sources make it.
pub(crate) fn this_build() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fragility"))
}

/// A process that ends with its owner.
pub(crate) struct Running {
    pub(crate) child: Child,
    name: String,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    fn spawn(dir: &Path, name: &str, command: &mut Command) -> Self {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        let open = |path: &Path| File::create(path).unwrap();
        command.stdin(Stdio::null()).stdout(open(&out)).stderr(open(&err));
        let child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}"));
        Self { child, name: name.to_owned(), out, err }
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for a good end and gives what was printed.
    pub(crate) fn finish(mut self, limit: Duration) -> String {
        let name = self.name.clone();
        let status = until(&format!("end of {name}"), limit, || self.child.try_wait().unwrap());
        assert!(status.success(), "{name}: {status}\n{}", self.stderr());
        fs::read_to_string(&self.out).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.stderr();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let mut text = format!("--- last lines of {}\n", self.name);
            for line in tail.iter().rev() {
                let _ = writeln!(text, "{line}");
            }
            eprint!("{text}");
        }
    }
}

/// Ends what a test process that was killed could not: it waits for the end of its input.
const KEEPER: &str = r#"
dir=$1 started=
while read -r line; do started="$started$line
"; done
while read -r pid binary; do
  if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe")" = "$binary" ]; then kill -KILL "$pid"; fi
done <<END
$started
END
for broker in "$dir"/broker*; do
  if [ -e "$broker/pid" ]; then "$2" kill "$broker"; fi
done
[ -e "$dir/keep" ] || rm -rf "$dir"
"#;

/// A client that answers one question after another.
struct Asker {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Asker {
    fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (questions, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, questions, answers }
    }

    fn ask(&mut self, words: &[&str]) -> String {
        writeln!(self.questions.as_mut().unwrap(), "{}", words.join("\t")).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        // Without further questions it ends.
        self.questions = None;
        let _ = self.child.wait();
    }
}

/// What the scenarios of a world share: one broker, one directory, the client.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) boot: String,
    classes: String,
    keeper: Child,
    orders: Option<ChildStdin>,
    asker: Mutex<Option<Asker>>,
    count: AtomicUsize,
}

impl World {
    /// One of several side by side.
    pub(crate) fn start(number: usize) -> Self {
        let name = format!("kafka-{}-{number}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        if std::env::var_os("FRAGILITY_KAFKA_KEEP").is_some() {
            fs::write(dir.join("keep"), "").unwrap();
            eprintln!("logs and data stay in {}", dir.display());
        }
        let mut keeper = Command::new("bash");
        keeper.arg("-c").arg(KEEPER).arg("keeper").arg(&dir);
        // A session of its own: the terminal's interrupt must not end it before its work is done.
        keeper.arg(repo("scripts/kafka")).env("CARGO_TARGET_DIR", target());
        std::os::unix::process::CommandExt::process_group(&mut keeper, 0);
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let orders = keeper.stdin.take();
        let mut world = Self {
            dir,
            boot: String::new(),
            classes: String::new(),
            keeper,
            orders,
            asker: Mutex::default(),
            count: AtomicUsize::new(0),
        };
        let jars = world.script(&["resolve"]);
        let client = target().join("kafka/client");
        assert!(client.join("Client.class").exists(), "no compiled client: run scripts/test");
        world.classes = format!("{}:{jars}/*", client.display());
        world.boot = world.script(&["start", world.broker("broker").to_str().unwrap()]);
        world
    }

    pub(crate) fn broker(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn next_name(&self, what: &str) -> String {
        format!("{}-{what}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// `scripts/kafka`, for what it prints.
    pub(crate) fn script(&self, args: &[&str]) -> String {
        self.script_with(&[], args)
    }

    /// The same with variables.
    pub(crate) fn script_with(&self, variables: &[(&str, &str)], args: &[&str]) -> String {
        let mut command = Command::new(repo("scripts/kafka"));
        command.args(args).env("CARGO_TARGET_DIR", target()).envs(variables.iter().copied());
        Running::spawn(&self.dir, &self.next_name("kafka"), &mut command).finish(LONG).trim().to_owned()
    }

    fn java(&self, subcommand: &str) -> Command {
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &self.classes, "Client", subcommand]);
        command
    }

    /// The client in the background.
    pub(crate) fn begin(&self, args: &[&str]) -> Running {
        let mut command = self.java(args[0]);
        command.args(&args[1..]);
        Running::spawn(&self.dir, &self.next_name(args[0]), &mut command)
    }

    /// The client, for what it prints.
    pub(crate) fn client(&self, args: &[&str]) -> String {
        self.begin(args).finish(LONG)
    }

    pub(crate) fn create(&self, topics: &[&str]) {
        self.client(&[&["topics", &self.boot], topics].concat());
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// All records of a topic, as a reader of committed records sees them.
    pub(crate) fn records(&self, topic: &str) -> Vec<Record> {
        let seen = self.client(&["consume", &self.boot, topic, "--from-beginning", "--until-end", "--timeout", "30"]);
        seen.lines().map(Record::read).collect()
    }

    /// Committed offset and end of each partition.
    pub(crate) fn offsets(&self, group: &str, topic: &str) -> Vec<(Option<i64>, i64)> {
        let mut asker = self.asker.lock().unwrap();
        let asker = asker.get_or_insert_with(|| Asker::start(&mut self.java("answer")));
        let answer = asker.ask(&["offsets", &self.boot, group, topic]);
        let seen: Value = serde_json::from_str(&answer).unwrap();
        let partitions = seen["partitions"].as_array().unwrap_or_else(|| panic!("offsets of {group}: {answer}"));
        partitions.iter().map(|p| (p["committed"].as_i64(), p["end"].as_i64().unwrap())).collect()
    }

    fn spawn_service(&self, build: &Path, config: &str, sets: &[String]) -> Running {
        let mut command = Command::new(build);
        command.arg("run").arg("--config").arg(repo(config)).args([
            "--set",
            "http.listen=127.0.0.1:0",
            "--set",
            "log.format=json",
        ]);
        for set in sets {
            command.args(["--set", set]);
        }
        let running = Running::spawn(&self.dir, &self.next_name("service"), &mut command);
        let mut orders = self.orders.as_ref().unwrap();
        writeln!(orders, "{} {}", running.child.id(), build.display()).unwrap();
        running
    }

    /// Starts the service with settings that it must refuse; what it says to that.
    pub(crate) fn refuse(&self, config: &str, sets: &[String]) -> String {
        let mut running = self.spawn_service(&this_build(), config, sets);
        let status = until("refusal", LONG, || running.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(2), "{}", running.stderr());
        running.stderr()
    }

    /// `replay` of a range: exit code, what it wrote to standard output, and what it said.
    pub(crate) fn replay(&self, config: &str, sets: &[String], args: &[&str]) -> (Option<i32>, String, String) {
        let config = repo(config).display().to_string();
        let mut all = vec!["replay", "--config", &config];
        all.extend(args);
        all.extend(sets.iter().flat_map(|s| ["--set", s]));
        self.ask(&all)
    }

    /// A command that ends by itself: exit code, what it wrote to standard output, and what it said.
    pub(crate) fn ask(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fragility"));
        command.args(args);
        let mut running = Running::spawn(&self.dir, &self.next_name(args[0]), &mut command);
        let status = until("the command's end", LONG, || running.child.try_wait().unwrap());
        (status.code(), fs::read_to_string(&running.out).unwrap(), running.stderr())
    }

    /// Starts the service; `sets` are `section.key=value`.
    pub(crate) fn serve(&self, config: &str, sets: &[String]) -> Service {
        self.serve_build(&this_build(), config, sets)
    }

    /// The same of another build, whose path is absolute and has no links in it.
    pub(crate) fn serve_build(&self, build: &Path, config: &str, sets: &[String]) -> Service {
        let running = self.spawn_service(build, config, sets);
        let mut service = Service { running, address: String::new() };
        let address = until("HTTP is up", LONG, || {
            assert_eq!(
                service.running.child.try_wait().unwrap(),
                None,
                "ended at its start: {}",
                service.running.stderr()
            );
            service.running.stderr().lines().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                Some(line["address"].as_str()?.to_owned())
            })
        });
        service.address = address;
        service
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.keeper.wait();
    }
}

/// A free port below the usual ephemeral range, where no outgoing connection can sit on it; each time another.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap();
    let next = || first + u16::try_from(GIVEN.fetch_add(1, Ordering::Relaxed)).unwrap();
    let free = (0..900).map(|_| next()).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("no free port")
}

/// A record as the client saw it; the value's bytes as they were.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) partition: i64,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) headers: Value,
    pub(crate) value: String,
}

impl Record {
    fn read(line: &str) -> Self {
        let (_, value) = line.split_once("},\"value\":").unwrap();
        let record: Value = serde_json::from_str(line).unwrap();
        Self {
            partition: record["partition"].as_i64().unwrap(),
            offset: record["offset"].as_i64().unwrap(),
            key: record["key"].as_str().map(str::to_owned),
            headers: record["headers"].clone(),
            value: value.strip_suffix('}').unwrap().to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.value).unwrap()
    }
}

/// A running service.
pub(crate) struct Service {
    running: Running,
    address: String,
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Service {
    fn open(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        stream
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        let mut text = String::new();
        self.open(path).read_to_string(&mut text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    /// What a stream says until `wanted` occurs in it.
    pub(crate) fn stream_until(&self, path: &str, wanted: &str) -> String {
        let mut stream = self.open(path);
        let (mut seen, mut buffer) = (String::new(), [0; 4096]);
        until(&format!("{wanted:?} on {path}"), Duration::from_secs(10), || {
            let n = stream.read(&mut buffer).unwrap();
            assert!(n > 0, "{path} ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
            seen.contains(wanted).then(|| seen.clone())
        })
    }

    /// Every sample by name and labels; the accounts have to close in each of them.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").body;
        let samples = text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.rsplit_once(' '));
        let samples: BTreeMap<String, f64> = samples.map(|(name, v)| (name.to_owned(), v.parse().unwrap())).collect();
        let outcomes: f64 =
            samples.iter().filter(|(n, _)| n.starts_with("fragility_records_total{")).map(|(_, v)| v).sum();
        let taken = samples["fragility_records_in_total"];
        assert_eq!(taken, outcomes + samples["fragility_records_quarantined"], "the accounts do not close:\n{text}");
        samples
    }

    pub(crate) fn taken(&self) -> f64 {
        self.metrics()["fragility_records_in_total"]
    }

    pub(crate) fn await_taken(&self, count: f64) {
        let mut last = 0.0;
        until(&format!("{count} records in"), LONG, || {
            last = self.taken();
            assert!(last <= count, "{last} records in, {count} were sent");
            (last == count).then_some(())
        });
    }

    pub(crate) fn await_ready(&self) {
        until("ready", LONG, || (self.get("/readyz").status == 200).then_some(()));
    }

    /// Waits until the service says that it is not ready, and why.
    pub(crate) fn await_unready(&self, why: &str) {
        let mut said = String::new();
        until(&format!("not ready, saying {why:?}"), LONG, || {
            let response = self.get("/readyz");
            said = response.body;
            (response.status == 503 && said.contains(why)).then_some(())
        });
    }

    /// SIGTERM: a clean end within the contract's bound.
    pub(crate) fn terminate(self) {
        self.ended();
    }

    /// The same; what the service had logged.
    pub(crate) fn ended(mut self) -> String {
        let pid = self.running.child.id().to_string();
        let asked = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = until("end after SIGTERM", LONG, || self.running.child.try_wait().unwrap());
        let took = asked.elapsed();
        assert_eq!(status.code(), Some(143), "{}", self.running.stderr());
        // Half a second for the looks of a busy machine.
        assert!(took < STOP_MAX + Duration::from_millis(500), "the end took {took:?}");
        self.running.stderr()
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.running.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Alerts sent since it started, those that were said before left out.
    pub(crate) fn alerts(&self) -> f64 {
        self.metrics().iter().filter(|(n, _)| n.starts_with("fragility_alerts_total{")).map(|(_, v)| v).sum()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.running.stderr()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.running.child.kill().unwrap();
        self.running.child.wait().unwrap();
    }
}
