//! What a build says of itself: revision, compiler, target and profile.
//!
//! Only a release build asks git. There a commit compiles this crate anew even where no source changed, which would
//! cost every commit of a developer minutes. `FRAGILITY_REVISION` names the revision in any profile, for builds whose
//! sources come without git's directory: an image, a package. Without either it is `unknown`.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// All that the build reads: a change in any of it asks anew whether it is what was committed.
const READ: [&str; 10] = [
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "schemas",
    "config",
    "data",
    "tests/scenarios",
    "deploy/grafana/dashboards",
    "deploy/prometheus",
];

fn main() -> io::Result<()> {
    let root = variable("CARGO_MANIFEST_DIR");
    let given = variable("FRAGILITY_REVISION");
    let mut out = io::stdout().lock();
    writeln!(out, "cargo::rerun-if-env-changed=FRAGILITY_REVISION")?;
    writeln!(out, "cargo::rerun-if-changed=build.rs")?;
    let (revision, tree) = if !given.is_empty() {
        (given, "unknown")
    } else if variable("PROFILE") == "release" {
        asked(&root, &mut out)?.unwrap_or_else(|| ("unknown".to_owned(), "unknown"))
    } else {
        ("unknown".to_owned(), "unknown")
    };
    let compiler = run(Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-V"));
    for (name, value) in [
        ("REVISION", revision.as_str()),
        ("TREE", tree),
        ("COMPILER", compiler.as_deref().unwrap_or("unknown")),
        ("TARGET", &variable("TARGET")),
        ("PROFILE", &variable("PROFILE")),
    ] {
        writeln!(out, "cargo::rustc-env=FRAGILITY_BUILD_{name}={value}")?;
    }
    Ok(())
}

/// Commit and state of the tree, where git knows this very directory: sources unpacked inside another repository are
/// not that one's.
fn asked(root: &str, out: &mut impl Write) -> io::Result<Option<(String, &'static str)>> {
    // Without the lock that a look at the tree would else take from whoever works in it.
    let git = |args: &[&str]| run(Command::new("git").env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(root).args(args));
    let is_own = |top: &String| matches!((Path::new(top).canonicalize(), Path::new(root).canonicalize()), (Ok(a), Ok(b)) if a == b);
    if !git(&["rev-parse", "--show-toplevel"]).is_some_and(|top| is_own(&top)) {
        return Ok(None);
    }
    let Some(revision) = git(&["rev-parse", "HEAD"]) else { return Ok(None) };
    // The log of HEAD moves with each commit and each checkout. A path that is not there would ask with every build.
    for path in ["HEAD", "logs/HEAD"].iter().filter_map(|name| git(&["rev-parse", "--git-path", name])) {
        let path = Path::new(root).join(path);
        if path.exists() {
            writeln!(out, "cargo::rerun-if-changed={}", path.display())?;
        }
    }
    for path in READ.iter().filter(|path| Path::new(root).join(path).exists()) {
        writeln!(out, "cargo::rerun-if-changed={path}")?;
    }
    let changed = git(&[&["status", "--porcelain", "--untracked-files=no", "--"][..], &READ].concat());
    Ok(Some((revision, changed.map_or("unknown", |lines| if lines.is_empty() { "clean" } else { "modified" }))))
}

fn variable(name: &str) -> String {
    env::var_os(name).and_then(|value| value.into_string().ok()).unwrap_or_default()
}

/// What a command prints, where it can be run and ends well.
fn run(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}
