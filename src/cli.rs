//! The command line.

use clap::{ArgGroup, Args, Parser, Subcommand};
use fragility::app::AlertName;
use fragility::sources::RangePoint;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Says which stock, which cluster and which market is breaking, and by how many sigmas.
#[derive(Debug, Parser)]
#[command(name = "fragility", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// With --version: the build as well, and the formats it reads and writes
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Whether `--version` came with `--verbose`, in any spelling: the parser ends at the one and may not have met the
    /// other.
    pub(crate) fn is_verbose(argument: &OsStr) -> bool {
        let Some(text) = argument.to_str() else { return false };
        let is_short = |letters: &str| letters.contains('v') && letters.chars().all(|c| "vV".contains(c));
        text == "--verbose" || text.strip_prefix('-').is_some_and(is_short)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service: Kafka in, alerts out, HTTP for metrics, health, API and board
    Run(ConfigArgs),
    /// Run the whole pipeline on real market days, with nothing installed
    Demo(DemoArgs),
    /// Run the engine over files, standard input or a range of the market topic
    Replay(Box<ReplayArgs>),
    /// Run known situations of a market day and compare the alerts with those expected
    Scenarios(ScenariosArgs),
    /// Check a configuration without connecting
    Check(CheckArgs),
    /// Lay out the Kafka topics that a configuration names: partitions, settings and least rights
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Recompute alerts from what they carry themselves
    Verify(VerifyArgs),
    /// Print the arithmetic of one alert, and the records that decided it as they stand in the log
    Explain(Box<ExplainArgs>),
    /// Print which alerts two rule sets give over the same input: added, removed, earlier, later, changed
    Diff(DiffArgs),
    /// Make the files that groups and the fragility index are compared with
    #[command(subcommand)]
    History(HistoryCommand),
    /// Print the sessions of a span of days
    Calendar(CalendarArgs),
    /// Ask a running service whether it is ready: exit code 0 when it is
    Health {
        /// What to ask
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9600/readyz")]
        url: String,
        /// Certificates to trust for https, PEM; default: those of the system
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Print the metrics of this build: name, type, labels and meaning
    Metrics,
    /// Print a JSON Schema: alert, state, heartbeat, `dead_letter`, input or config
    Schema {
        /// Which one
        name: String,
    },
    /// Print the Grafana dashboards of this build, one JSON text behind the other
    Dashboards(ShippedArgs),
    /// Print the rules for Prometheus of this build, as one file
    Rules(ShippedArgs),
    /// Print the completion of this command line for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Override one key; repeatable
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Market seconds per second, or `max`; without it the story sets the pace
    #[arg(long, value_name = "X")]
    pub(crate) speed: Option<String>,
    /// End when the feed ends
    #[arg(long)]
    pub(crate) once: bool,
    /// Address of board and metrics
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9600")]
    pub(crate) listen: SocketAddr,
}

/// Options of `replay`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("records").args(["input", "from", "to"]).required(true).multiple(true)))]
pub(crate) struct ReplayArgs {
    /// Where the configuration comes from
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Input files: NDJSON or CSV, plain, gzip or zstd, or Parquet; `-` for standard input
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["from", "to"])]
    pub(crate) input: Vec<PathBuf>,
    /// Instead of files, read kafka.topics.market from here on, inclusive: `beginning` (the default with --to), an
    /// offset of every partition, PARTITION:OFFSET,... for these partitions alone, or an RFC 3339 time, which is
    /// the first record with that Kafka timestamp or a later one
    #[arg(long, value_name = "POINT")]
    pub(crate) from: Option<RangePoint>,
    /// Read up to here, exclusive; the same forms, or `end` (the default): where the log ends at the start
    #[arg(long, value_name = "POINT")]
    pub(crate) to: Option<RangePoint>,
    /// Write alerts here
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) alerts: PathBuf,
    /// Write one line per symbol and session here
    #[arg(long, value_name = "FILE")]
    pub(crate) measures: Option<PathBuf>,
    /// Write the volatilities beside the canonical one here, one line per symbol and session
    #[arg(long, value_name = "FILE")]
    pub(crate) modes: Option<PathBuf>,
    /// Write one line per session here
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    /// Write the count of records by outcome here
    #[arg(long, value_name = "FILE")]
    pub(crate) accounting: Option<PathBuf>,
    /// Learn a diurnal curve for each group of `[ruler.groups]` and write them here, as reference records
    #[arg(long, value_name = "FILE")]
    pub(crate) curves: Option<PathBuf>,
    /// Write refused records here
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letters: Option<PathBuf>,
    /// Exit with 3 when a record was refused
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Options of `scenarios`.
#[derive(Debug, Args)]
pub(crate) struct ScenariosArgs {
    /// Your own rules, under what a scenario sets for itself; without it the defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Override one key, the scenarios' own included; repeatable
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Scenarios of your own, DIR/NAME/{input.ndjson,config.toml,alerts.ndjson}; without it those built in
    #[arg(long, value_name = "DIR")]
    pub(crate) suite: Option<PathBuf>,
    /// Write what was said to DIR/NAME/alerts.ndjson, in the form of an expectation
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// These scenarios alone
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Where the configuration comes from
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print every key with its value and where it came from, secrets masked
    #[arg(long)]
    pub(crate) effective: bool,
}

/// What `topics` does.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Print what differs, a line each, and change nothing
    ///
    /// Every topic of [kafka.topics] is held against [kafka.layout], and the rights of its principals. Lines begin with what
    /// `apply` does about it: `create`, `raise` (partitions), `set` (a setting), `grant` (a right); `leave` is a difference
    /// that it does nothing about, with the reason; `ok` is right, `note` is worth knowing.
    Plan(TopicsArgs),
    /// Do what `plan` prints, after asking the brokers whether all of it would be taken
    ///
    /// Lines are printed as in `plan`, each once it is done. Nothing is ever deleted or taken away, replicas are not moved,
    /// and an existing topic gets more partitions only where kafka.layout.partitions states their number.
    Apply(TopicsArgs),
}

/// Options of `topics plan` and `topics apply`.
#[derive(Debug, Args)]
pub(crate) struct TopicsArgs {
    /// Where the configuration comes from
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Exit with 3 when something differs, or for `apply` is left
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Alerts or states as they were written, one a line, plain, gzip or zstd; `-` for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) alert: PathBuf,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Which alert; without `:REVISION` its newest record
    #[arg(value_name = "ALERT_ID[:REVISION]")]
    pub(crate) name: AlertName,
    /// Where the configuration comes from
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Look in kafka.topics.alerts from here on, inclusive, as in `replay`; default: the beginning
    #[arg(long, value_name = "POINT", conflicts_with = "alert")]
    pub(crate) from: Option<RangePoint>,
    /// Look up to here, exclusive; default: the end
    #[arg(long, value_name = "POINT", conflicts_with = "alert")]
    pub(crate) to: Option<RangePoint>,
    /// Look in a file of alerts instead, one a line; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) alert: Option<PathBuf>,
    /// Look the deciding records up in the inputs of the replay that wrote the alert, in their order, instead of
    /// the market topic
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) input: Vec<PathBuf>,
}

/// Options of `dashboards` and `rules`.
#[derive(Debug, Args)]
pub(crate) struct ShippedArgs {
    /// Write each into its own file in this directory instead, and print the paths
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// These alone, named as their files without the ending
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Configuration file (TOML); given twice, A and B
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) config: Vec<PathBuf>,
    /// Override one key in both; repeatable
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Input files, as in `replay`; each is read twice
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) input: Vec<PathBuf>,
}

/// What `history` does.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Run the engine over closes of the past and write a row a session, as history.legs and history.index are read
    Build(HistoryArgs),
}

/// Options of `history build`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("histories").args(["legs", "index", "losses"]).required(true).multiple(true)))]
pub(crate) struct HistoryArgs {
    /// Where the configuration comes from; the history files that it names are not read
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Input files, as in `replay`; history.files come before them
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) input: Vec<PathBuf>,
    /// The group whose legs are written; may be left out where one alone has any
    #[arg(long, value_name = "NAME", requires = "legs")]
    pub(crate) group: Option<String>,
    /// Write the legs here, for history.legs or `groups.NAME.legs`
    #[arg(long, value_name = "FILE")]
    pub(crate) legs: Option<PathBuf>,
    /// Write the counts of the group with index = true here, for history.index
    #[arg(long, value_name = "FILE")]
    pub(crate) index: Option<PathBuf>,
    /// Write the largest one-day losses of market value here, for history.losses
    #[arg(long, value_name = "FILE")]
    pub(crate) losses: Option<PathBuf>,
}

/// Options of `calendar`.
#[derive(Debug, Args)]
pub(crate) struct CalendarArgs {
    /// First day, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(crate) from: chrono::NaiveDate,
    /// Last day, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(crate) to: chrono::NaiveDate,
    /// Configuration file naming another calendar
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
