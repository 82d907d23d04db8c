//! Daily closes and reference records from outside the market input.

use crate::codec::decode;
use crate::domain::{Observation, Outcome};
use crate::engine::{Channel, Effects, Engine};
use crate::sources::{FileSource, InputError};
use std::path::PathBuf;
use tracing::{info, warn};

/// Loads every file of `history.files`; lines that are no reference records are named and left out. When all
/// other history has come too, [`Engine::history_loaded`] has to be told.
///
/// # Errors
/// When a file cannot be read.
pub fn load_history(engine: &mut Engine, files: &[PathBuf]) -> Result<(), InputError> {
    let mut effects = Effects::default();
    for path in files {
        let mut source = FileSource::open(path)?;
        let (mut taken, mut refused) = (0_u64, 0_u64);
        while let Some(line) = source.next_line()? {
            match &line.decoded {
                Ok(Observation::Reference(record)) => {
                    let disposition = engine.apply_reference(Channel::Initial, record, &mut effects);
                    if disposition.outcome.is_dead_letter() {
                        refused += 1;
                        warn!(file = %path.display(), line = line.number, reason = disposition.reason, "history record refused");
                    } else {
                        taken += 1;
                    }
                }
                Ok(_) => {
                    refused += 1;
                    warn!(file = %path.display(), line = line.number, "history line is no reference record");
                }
                Err(error) => {
                    refused += 1;
                    warn!(file = %path.display(), line = line.number, %error, "history line refused");
                }
            }
        }
        effects.clear();
        info!(file = %path.display(), taken, refused, "history loaded");
    }
    Ok(())
}

/// Takes one value of the reference topic: its outcome, the reason and the detail.
pub fn take_reference(
    engine: &mut Engine,
    channel: Channel,
    value: &[u8],
    effects: &mut Effects,
) -> (Outcome, &'static str, String) {
    match decode(value) {
        Ok(Observation::Reference(record)) => {
            let disposition = engine.apply_reference(channel, &record, effects);
            (disposition.outcome, disposition.reason, String::new())
        }
        Ok(_) => (Outcome::Rejected, "not_reference", "not a reference record".to_owned()),
        Err(error) => (error.outcome, error.reason, error.detail.into_owned()),
    }
}
