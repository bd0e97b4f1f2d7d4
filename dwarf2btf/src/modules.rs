//! Many modules in one process: where they are, and how threads share them.
//!
//! Each module is encoded by one thread, as there are many more of them than threads; the largest come first, so that all
//! threads end at about the same time. What is made of a module does not depend on that.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use btf_core::{Error, ErrorKind, Result};
use rayon::ThreadPoolBuilder;

use crate::Observer;
use crate::report::Progress;

mod report;

pub use report::{ModuleResult, ModulesSummary};

/// How the names of modules end, as they are built and as debugging symbols of them are packaged.
const ENDINGS: [&str; 2] = [".ko", ".ko.debug"];
/// How the names of packed modules end. They are what is installed, without DWARF.
const PACKED_ENDINGS: [&str; 3] = [".ko.gz", ".ko.xz", ".ko.zst"];

/// A module to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the folder that was searched, or its name.
    pub name: PathBuf,
    /// The size of the file in bytes.
    pub size_bytes: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The modules, in the order in which they were named, those of a folder by name. None is there twice, whatever links
    /// lead to it.
    pub files: Vec<ModuleFile>,
    /// How many packed modules there are in the folders, which are not among them.
    pub packed: u64,
}

/// Finds modules: the files among `paths`, whatever their names, and in the folders among them what is called like a
/// module. Links are followed to files, not to folders. What is named and not there is found, too: it fails when its turn
/// comes, as any other module that cannot be read, and does not stop the others.
///
/// # Errors
/// [`ErrorKind::Io`] and the path if a folder cannot be read.
pub fn find(paths: &[PathBuf]) -> Result<Found, (PathBuf, Error)> {
    let mut search = Search::default();
    for path in paths {
        let name = Path::new(path.file_name().unwrap_or(path.as_os_str()));
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => search.folder(path)?,
            Ok(metadata) => search.add(path, name, &metadata),
            Err(_) => search.add_missing(path, name),
        }
    }
    Ok(search.found)
}

#[derive(Default)]
struct Search {
    found: Found,
    /// Device and inode of each file.
    seen: HashSet<(u64, u64)>,
}

impl Search {
    fn add(&mut self, path: &Path, name: &Path, metadata: &std::fs::Metadata) {
        if self.seen.insert((metadata.dev(), metadata.ino())) {
            self.found.files.push(ModuleFile {
                path: path.to_owned(),
                name: name.to_owned(),
                size_bytes: metadata.len(),
            });
        }
    }

    fn add_missing(&mut self, path: &Path, name: &Path) {
        self.found.files.push(ModuleFile {
            path: path.to_owned(),
            name: name.to_owned(),
            size_bytes: 0,
        });
    }

    fn folder(&mut self, top: &Path) -> Result<(), (PathBuf, Error)> {
        let mut folders = vec![top.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries =
                std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let mut entries = entries.map_err(failed(&folder, "read the folder"))?;
            entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
            let mut inner = Vec::new();
            for entry in entries {
                let path = entry.path();
                let kind = entry.file_type().map_err(failed(&path, "find the file"))?;
                if kind.is_dir() {
                    inner.push(path);
                } else if has_ending(&path, &ENDINGS) {
                    let name = path.strip_prefix(top).unwrap_or(&path);
                    match std::fs::metadata(&path) {
                        Ok(metadata) if metadata.is_file() => self.add(&path, name, &metadata),
                        Ok(_) => {}
                        // A link to nowhere.
                        Err(_) => self.add_missing(&path, name),
                    }
                } else if has_ending(&path, &PACKED_ENDINGS) {
                    self.found.packed += 1;
                }
            }
            folders.extend(inner.into_iter().rev());
        }
        Ok(())
    }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    endings.iter().any(|end| name.ends_with(end.as_bytes()))
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> (PathBuf, Error) {
    let path = path.to_owned();
    move |error| (path, Error::new(ErrorKind::Io(what)).caused_by(error))
}

/// Calls `work` with each file and its index, on several threads, and gives the results in the order of `files`.
///
/// Within `work`, rayon's current pool is the calling thread alone; if there are fewer files than threads, they are taken
/// one after the other and the pool is the caller's, so that several threads share each.
///
/// # Errors
/// [`ErrorKind::Io`] if a thread cannot be started.
pub fn for_each<R: Send>(
    files: &[ModuleFile],
    threads: NonZeroUsize,
    observer: &dyn Observer,
    work: impl Fn(usize, &ModuleFile) -> R + Sync,
) -> Result<Vec<R>> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(files[index].size_bytes));
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let results = Mutex::new(Vec::with_capacity(files.len()));
    let total = files.iter().map(|file| file.size_bytes).sum();
    let work_off = || {
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = work(index, &files[index]);
            let bytes = files[index].size_bytes;
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let mut results = results
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            results.push((index, result));
            drop(results);
            observer.progress(Progress {
                phase: "reading modules",
                done,
                total,
            });
        }
    };
    if files.len() < threads.get() {
        work_off();
    } else {
        std::thread::scope(|scope| {
            let start = || std::thread::Builder::new().spawn_scoped(scope, || alone(work_off));
            let started: std::io::Result<Vec<_>> = (0..threads.get()).map(|_| start()).collect();
            let started = started.map_err(|error| not_started().caused_by(error))?;
            started
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(not_started())))
        })?;
    }
    let mut results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Calls `work` with the calling thread as rayon's current pool.
fn alone(work: impl FnOnce()) -> Result<()> {
    let pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    let pool = pool
        .build()
        .map_err(|error| not_started().caused_by(error))?;
    work();
    drop(pool);
    Ok(())
}

fn not_started() -> Error {
    Error::new(ErrorKind::Io("start a thread"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unobserved;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn modules_are_found_once_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let write = |name: &str| {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        };
        for name in ["b.ko", "a/z.ko", "a/y.ko.debug", "a/x.ko.xz", "vmlinux"] {
            write(name);
        }
        symlink(top.join("b.ko"), top.join("c.ko")).unwrap();
        symlink(top, top.join("a/loop")).unwrap();
        symlink("nowhere", top.join("a/w")).unwrap();
        symlink("nowhere", top.join("d.ko")).unwrap();
        let found = find(&[top.to_owned(), top.join("vmlinux"), top.join("a/z.ko")]).unwrap();
        let names: Vec<_> = found.files.iter().map(|file| file.name.clone()).collect();
        let expect = ["b.ko", "d.ko", "a/y.ko.debug", "a/z.ko", "vmlinux"];
        assert_eq!(names, expect.map(PathBuf::from));
        assert_eq!(found.packed, 1);
        assert_eq!(found.files[0].size_bytes, 4);
        let found = find(&[top.join("missing"), top.join("b.ko")]).unwrap();
        let names: Vec<_> = found.files.iter().map(|file| file.name.clone()).collect();
        assert_eq!(names, ["missing", "b.ko"].map(PathBuf::from));
    }

    #[test]
    fn results_stand_in_the_order_of_the_files() {
        let file = |size_bytes| ModuleFile {
            path: PathBuf::new(),
            name: PathBuf::new(),
            size_bytes,
        };
        let files: Vec<_> = (0..50).map(|n| file(n * 7 % 50)).collect();
        for threads in [1, 3, 60] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let sizes = for_each(&files, threads, &Unobserved, |index, file| {
                assert_eq!(file, &files[index]);
                assert!(files.len() < threads.get() || rayon::current_num_threads() == 1);
                file.size_bytes
            });
            let expect: Vec<_> = files.iter().map(|file| file.size_bytes).collect();
            assert_eq!(sizes.unwrap(), expect);
        }
    }
}
