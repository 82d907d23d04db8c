//! Snapshots as files of one directory.

use super::{Slot, SnapshotStore};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files in one directory: written aside, synced and renamed.
pub struct FileStore(PathBuf);

impl FileStore {
    /// Opens the directory, making it if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self(dir.to_owned()))
    }

    fn path(&self, name: &str, slot: Slot) -> PathBuf {
        let ending = match slot {
            Slot::Newest => "snapshot",
            Slot::Previous => "snapshot.previous",
        };
        self.0.join(format!("{name}.{ending}"))
    }
}

impl SnapshotStore for FileStore {
    fn read(&self, name: &str, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name, slot)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let aside = self.0.join(format!("{name}.tmp"));
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        let newest = self.path(name, Slot::Newest);
        match fs::rename(&newest, self.path(name, Slot::Previous)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::rename(&aside, &newest)?,
        }
        File::open(&self.0)?.sync_all()
    }
}
