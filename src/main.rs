//! Flags, configuration, log, one command, exit code; no decisions of its own.

mod cli;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use cli::{CalendarArgs, Cli, Command, ConfigArgs, HistoryArgs, HistoryCommand, ScenariosArgs, TopicsCommand};
use fragility::app::{self, AppError};
use fragility::config::{self, DEFAULTS, Loaded};
use fragility::sources::KafkaRange;
use fragility::telemetry::{Metrics, init_log, metric_reference};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Err(error) if error.kind() == ErrorKind::DisplayVersion && std::env::args_os().any(|a| Cli::is_verbose(&a)) => {
            return ended(printed(io::stdout().write_all(app::version().as_bytes())));
        }
        Err(error) => error.exit(),
        Ok(cli) => cli,
    };
    if cli.verbose {
        Cli::command().error(ErrorKind::MissingRequiredArgument, "--verbose goes with --version").exit();
    }
    ended(run(cli))
}

fn ended(result: Result<ExitCode, AppError>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(error.code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, AppError> {
    match cli.command {
        Command::Replay(args) => {
            let args = *args;
            let loaded = load(&args.config)?;
            init_log(loaded.config.log_format, "warn");
            let range = args.input.is_empty().then(|| KafkaRange::new(args.from, args.to)).transpose();
            let options = app::ReplayOptions {
                inputs: args.input,
                range: range.map_err(|e| AppError::Usage(e.to_string()))?,
                alerts: Some(args.alerts),
                measures: args.measures,
                modes: args.modes,
                summary: args.summary,
                accounting: args.accounting,
                dead_letters: args.dead_letters,
                curves: args.curves,
            };
            let replayed = app::replay(&loaded.config, &options)?;
            Ok(if args.strict && replayed.refused_any() { ExitCode::from(3) } else { ExitCode::SUCCESS })
        }
        Command::Scenarios(args) => scenarios(args),
        Command::Check(args) => {
            let loaded = load(&args.config)?;
            printed(app::check(&loaded, args.effective, &mut io::stdout().lock()))
        }
        Command::Topics(command) => topics(&command),
        Command::Verify(args) => {
            let counts = app::verify_file(&args.alert, &mut io::stdout().lock(), &mut io::stderr().lock())?;
            Ok(ExitCode::from(counts.code()))
        }
        Command::Explain(args) => {
            let args = *args;
            let loaded = load(&args.config)?;
            init_log(loaded.config.log_format, "warn");
            let range = KafkaRange::new(args.from, args.to).map_err(|e| AppError::Usage(e.to_string()))?;
            let options = app::ExplainOptions { name: args.name, range, alert: args.alert, inputs: args.input };
            let is_good = app::explain(&loaded.config, &options, &mut io::stdout().lock())?;
            Ok(ExitCode::from(u8::from(!is_good)))
        }
        Command::Diff(args) => {
            let [a, b] = &args.config[..] else {
                return Err(AppError::Usage(format!("--config is given {} times, must be twice", args.config.len())));
            };
            init_log(config::LogFormat::Pretty, "warn");
            let environment = environment();
            let [a, b] = [a, b].map(|file| config::load(file, &environment, &args.set));
            let (a, b) = (a?.config, b?.config);
            app::diff([&a, &b], &args.input, &mut io::stdout().lock(), &mut io::stderr().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::History(HistoryCommand::Build(args)) => build_history(args),
        Command::Calendar(args) => calendar(&args),
        Command::Schema { name } => match app::schema(&name) {
            Ok(text) => printed(io::stdout().write_all(text.as_bytes())),
            Err(names) => Err(AppError::Usage(format!("no schema {name:?}; there are {}", names.join(", ")))),
        },
        Command::Health { url, ca } => {
            let (is_well, answer) = app::health(&url, ca.as_deref())?;
            printed(writeln!(io::stdout(), "{answer}"))?;
            Ok(ExitCode::from(u8::from(!is_well)))
        }
        Command::Metrics => {
            let metrics = Metrics::new().map_err(|e| AppError::Failed(e.to_string()))?;
            printed(io::stdout().write_all(metric_reference(&metrics).as_bytes()))
        }
        Command::Dashboards(args) => {
            app::DASHBOARDS.give(&args.names, args.write.as_deref(), &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Rules(args) => {
            app::RULES.give(&args.names, args.write.as_deref(), &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            // Into memory first: it ends the process where it cannot write.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fragility", &mut text);
            printed(io::stdout().write_all(&text))
        }
        Command::Run(args) => {
            let loaded = load(&args)?;
            init_log(loaded.config.log_format, &loaded.config.log_level);
            let environment = environment();
            let reread = || Ok(config::load(&args.config, &environment, &args.set)?.config);
            Ok(ExitCode::from(runtime()?.block_on(app::run(loaded.config, reread))?))
        }
        Command::Demo(args) => {
            init_log(config::LogFormat::Pretty, "warn");
            let options = app::DemoOptions { speed: args.speed, once: args.once, listen: args.listen };
            Ok(ExitCode::from(runtime()?.block_on(app::demo(&options))?))
        }
    }
}

fn scenarios(args: ScenariosArgs) -> Result<ExitCode, AppError> {
    init_log(config::LogFormat::Pretty, "warn");
    let environment = environment();
    let below = match &args.config {
        Some(file) => {
            // Its own problems are told at its own lines.
            config::load(file, &environment, &args.set)?;
            config::read(file)?
        }
        None => String::new(),
    };
    let rules = |name: &str, text: &str| Ok(config::load_over(&below, name, text, &environment, &args.set)?.config);
    let options = app::ScenarioOptions { suite: args.suite, write: args.write, names: args.names };
    let all_as_expected = app::scenarios(rules, &options, &mut io::stdout().lock())?;
    Ok(if all_as_expected { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn calendar(args: &CalendarArgs) -> Result<ExitCode, AppError> {
    let loaded = match &args.config {
        Some(file) => config::load(file, &environment(), &[])?,
        None => config::load_text("defaults", DEFAULTS, &[], &[])?,
    };
    if args.to < args.from {
        return Err(AppError::Usage(format!("--to {} lies before --from {}", args.to, args.from)));
    }
    let Some(calendar) = loaded.config.params.calendar else {
        return Err(AppError::Usage("the configuration has no calendar (market.calendar = \"none\")".into()));
    };
    printed(app::calendar(&calendar, args.from, args.to, &mut io::stdout().lock()))
}

fn build_history(args: HistoryArgs) -> Result<ExitCode, AppError> {
    let HistoryArgs { config: ConfigArgs { config, set }, input, group, legs, index, losses } = args;
    let loaded = config::load_without_histories(&config, &environment(), &set)?;
    init_log(loaded.config.log_format, "warn");
    app::build_history(&loaded.config, &app::HistoryOptions { inputs: input, group, legs, index, losses })?;
    Ok(ExitCode::SUCCESS)
}

fn topics(command: &TopicsCommand) -> Result<ExitCode, AppError> {
    let (TopicsCommand::Plan(args) | TopicsCommand::Apply(args)) = command;
    let loaded = load(&args.config)?;
    init_log(loaded.config.log_format, "error");
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let is_same = match command {
        TopicsCommand::Plan(_) => runtime()?.block_on(app::plan_topics(&loaded.config, &mut out, &mut err))?,
        TopicsCommand::Apply(_) => runtime()?.block_on(app::apply_topics(&loaded.config, &mut out, &mut err))?,
    };
    Ok(if args.strict && !is_same { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn runtime() -> Result<tokio::runtime::Runtime, AppError> {
    // HTTP, timers and signals only: the lane has a thread of its own.
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|e| AppError::Failed(format!("runtime: {e}")))
}

fn load(args: &ConfigArgs) -> Result<Loaded, AppError> {
    Ok(config::load(&args.config, &environment(), &args.set)?)
}

fn environment() -> Vec<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "handed to the configuration, its one reader")]
    std::env::vars().collect()
}

fn printed(written: io::Result<()>) -> Result<ExitCode, AppError> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(AppError::Output("-".into(), error)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn report(error: &AppError) {
    let mut stderr = io::stderr();
    let _ = match error {
        AppError::Config(errors) => {
            let mut text = String::new();
            let shown = miette::GraphicalReportHandler::new().render_report(&mut text, errors);
            if shown.is_ok() { write!(stderr, "{text}") } else { writeln!(stderr, "{errors}") }
        }
        other => writeln!(stderr, "fragility: {other}"),
    };
}
