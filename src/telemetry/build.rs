//! What this build is, found out when it was compiled.

use std::sync::LazyLock;

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, or `unknown`: only release builds ask git.
pub const REVISION: &str = env!("FRAGILITY_BUILD_REVISION");
/// `clean` when everything that was compiled in is as committed, else `modified`, or `unknown`.
pub const TREE: &str = env!("FRAGILITY_BUILD_TREE");
/// The compiler, as it names itself.
pub const COMPILER: &str = env!("FRAGILITY_BUILD_COMPILER");
/// The platform it was compiled for.
pub const TARGET: &str = env!("FRAGILITY_BUILD_TARGET");
/// `release` or `debug`.
pub const PROFILE: &str = env!("FRAGILITY_BUILD_PROFILE");

/// The revision as `git describe` writes it: `-dirty` behind it where the tree was not clean.
pub fn revision() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{REVISION}-dirty"));
    if TREE == "modified" { &TEXT } else { REVISION }
}
