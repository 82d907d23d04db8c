//! Snapshots as files of one directory.

use super::{Slot, SnapshotStore};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files in one directory: written aside, synced and renamed.
pub struct FileStore {
    dir: PathBuf,
    /// Sets apart what is being written from what another writer in the same directory writes under the same name: a
    /// partition may go from one lane to the next while the first still writes it down.
    writer: usize,
}

impl FileStore {
    /// Opens the directory for one of its writers, making it if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path, writer: usize) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), writer })
    }

    fn path(&self, name: &str, slot: Slot) -> PathBuf {
        let ending = match slot {
            Slot::Newest => "snapshot",
            Slot::Previous => "snapshot.previous",
        };
        self.dir.join(format!("{name}.{ending}"))
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
        let aside = self.dir.join(format!("{name}.{}.tmp", self.writer));
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        let newest = self.path(name, Slot::Newest);
        match fs::rename(&newest, self.path(name, Slot::Previous)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::rename(&aside, &newest)?,
        }
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_of_one_directory_do_not_spoil_each_others_files() {
        let dir = std::env::temp_dir().join(format!("fragility-writers-{}", std::process::id()));
        let own = |writer: usize| vec![u8::try_from(writer).unwrap(); 10_000];
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let store = FileStore::open(&dir, writer).unwrap();
                scope.spawn(move || (0..50).for_each(|_| store.write("market-3", &own(writer)).unwrap()));
            }
        });
        let store = FileStore::open(&dir, 0).unwrap();
        for slot in [Slot::Newest, Slot::Previous] {
            let kept = store.read("market-3", slot).unwrap().unwrap();
            assert!((0..4).any(|writer| kept == own(writer)), "{slot:?} is of several writers");
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
