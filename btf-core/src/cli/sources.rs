//! Finds BTF and reads it: from raw files, ELF files, `/sys/kernel/btf`, folders and standard input, each with its base.
//!
//! A blob does not say whether it continues another one, nor which. What does not stand alone gets the first of these
//! that fits: the `.BTF.base` beside it, or behind raw BTF in `FILE` a distilled one in `FILE.base`; what the caller names; another of the files; a `vmlinux` in a folder above it; the
//! running kernel's. Fitting means that all ids exist, and that names are own
//! strings or the base's and start where strings do, which no wrong base achieves.
//!
//! A linker that knows nothing of BTF pastes the blobs of its inputs into one section; each then is a source of its own.

mod bases;
mod blobs;
mod error;
mod files;
mod packed;
mod raw;
mod standalone;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::distill::is_distilled;
use crate::ext::BtfExt;
use crate::pieces::in_pieces;
use crate::reader::Btf;
use crate::relocate::relocate;

use super::output::base_path;
use bases::Bases;
pub use error::Error;
pub use files::check_stdin;
use files::{Contents, check_named};
pub use packed::warn_of_packed;
pub use raw::{RawSource, open_raw};
pub use standalone::{Facts, Standalone};

/// The BTF of the running kernel, which is read if no file is named.
pub const RUNNING_KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// The path that means standard input.
pub const STDIN: &str = "-";

/// BTF, and where it comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file as it was named, or as it was found in the folder that was; [`STDIN`] is standard input.
    pub path: PathBuf,
    /// Which of several blobs this is, if there are several.
    pub part: Option<Part>,
    /// The types.
    pub btf: Arc<Btf>,
    /// Where the base of `btf` comes from.
    pub base: Base,
    /// The size of a pointer in bytes, if the file is ELF.
    pub pointer_size: Option<u8>,
    ext: Option<Arc<[u8]>>,
}

/// The place of a blob among several in one section or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// Where it starts in the section or file, in bytes.
    pub offset: u64,
}

/// Where the base of split BTF comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// There is none: the BTF stands alone.
    None,
    /// The section `.BTF.base` of the same file.
    Own,
    /// This file.
    File(PathBuf),
}

impl Source {
    /// The path and, if there are several blobs, which one.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.path, self.part)
    }

    /// The files that it was read from, as they are named here.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let base = match &self.base {
            Base::File(path) => Some(path),
            Base::None | Base::Own => None,
        };
        [&self.path].into_iter().chain(base).map(PathBuf::as_path)
    }

    /// Whether the base of the BTF is a distilled one of its own, in the same file or beside it.
    #[must_use]
    pub fn has_own_base(&self) -> bool {
        match &self.base {
            Base::None => false,
            Base::Own => true,
            Base::File(base) => {
                *base == base_path(&self.path)
                    && self.btf.base().is_some_and(|btf| is_distilled(btf))
            }
        }
    }

    /// Whether it is from an object file for BPF, which no kernel is.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.ext.is_some()
    }

    /// Reads `.BTF.ext`, which object files for BPF have.
    ///
    /// # Errors
    /// What [`BtfExt::parse`] returns.
    pub fn ext(&self) -> Result<Option<BtfExt>, Error> {
        let ext = self.ext.as_deref().map(BtfExt::parse).transpose();
        let ext = ext.map_err(|error| Error::reading(self.title(), error))?;
        Ok(ext.map(|(_, ext)| ext))
    }
}

fn title(path: &Path, part: Option<Part>) -> String {
    let path = path.display();
    match part {
        None => path.to_string(),
        Some(Part {
            number,
            count,
            offset,
        }) => format!("{path}: blob {number} of {count}, at {offset:#x}"),
    }
}

/// A blob as it stands in a file, whose base is not looked for.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The file as it was named, or as it was found in the folder that was.
    pub path: PathBuf,
    /// Which of several blobs this is, if there are several.
    pub part: Option<Part>,
    /// The BTF.
    pub btf: Vec<u8>,
    /// The section `.BTF.base` of the same file, or the file beside raw BTF.
    pub base: Option<Arc<[u8]>>,
}

/// Reads all files in their order, and those that folders hold, without a look at what the blobs mean. A file that cannot be
/// read is an error beside the others.
///
/// # Errors
/// A folder that cannot be read or has no BTF.
pub fn blobs(paths: &[PathBuf]) -> Result<Vec<Result<Blob, Error>>, Error> {
    let mut found = Vec::new();
    for path in find(paths)? {
        let contents = match read(&path) {
            Ok(contents) => contents,
            Err(error) => {
                found.push(Err(error));
                continue;
            }
        };
        let base: Option<Arc<[u8]>> = contents.base.map(Into::into);
        let parts = blobs::parts(&contents.btf, blobs::end_of_btf);
        found.extend(parts.into_iter().map(|(part, bytes)| {
            Ok(Blob {
                path: path.clone(),
                part,
                btf: bytes.to_vec(),
                base: base.clone(),
            })
        }));
    }
    Ok(found)
}

/// Checks that BTF continues the base that it was read with, as far as that can be seen.
///
/// # Errors
/// [`ErrorKind`](crate::ErrorKind) of the first id or name that does not exist or does not start where a string does.
pub fn check_base(btf: &Btf) -> crate::Result<()> {
    bases::fit(btf)
}

/// How many paths a thread looks at.
const FOUND_AT_ONCE: usize = 64;

/// All files in their order, and those that folders hold.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    check_stdin(paths)?;
    let part = |part: Range<usize>| {
        let mut found = Vec::new();
        let mut all = paths[part].iter();
        all.try_for_each(|path| files::find(path, &mut found))?;
        Ok(found)
    };
    let found = in_pieces(0..paths.len(), FOUND_AT_ONCE, &part).into_iter();
    let found: Result<Vec<Vec<_>>, Error> = found.collect();
    Ok(found?.into_iter().flatten().collect())
}

fn read(path: &Path) -> Result<Contents, Error> {
    files::read(path).map_err(|error| Error::reading(path.display().to_string(), error))
}

/// Reads all files in their order, and those that folders hold; without any, the running kernel's.
///
/// `base` is what split BTF continues that has no base of its own.
///
/// # Errors
/// The first file that cannot be read, with the reason; a folder without BTF; split BTF whose base is not found, or that
/// does not continue `base`.
pub fn open(paths: &[PathBuf], base: Option<&Path>) -> Result<Vec<Source>, Error> {
    open_with(paths, base, NonZeroUsize::MIN)
}

/// Reads files as [`open`] does, several at a time.
///
/// # Errors
/// Those of [`open`]; of several the first.
pub fn open_with(
    paths: &[PathBuf],
    base: Option<&Path>,
    threads: NonZeroUsize,
) -> Result<Vec<Source>, Error> {
    let opened = open_all(paths, base, Named::ForOthers, threads)?;
    opened
        .into_iter()
        .map(|source| source.map_err(|(_, error)| error))
        .collect()
}

/// Reads files as [`open`] does; what has a distilled base is moved from there onto `base`, as kernels and libbpf do.
///
/// # Errors
/// Those of [`open`], or a type that `base` has no match for.
pub fn open_onto(paths: &[PathBuf], base: Option<&Path>) -> Result<Vec<Source>, Error> {
    let opened = open_each(paths, base)?.into_iter();
    opened
        .map(|source| source.map_err(|(_, error)| error))
        .collect()
}

/// A blob, or the path of a file that cannot be read and why.
pub type Opened = Result<Source, (PathBuf, Error)>;

/// Reads files as [`open_onto`] does; one that cannot be read is an error beside the others, with its path.
///
/// # Errors
/// A folder that cannot be read or has no BTF, or a base that cannot be read.
pub fn open_each(paths: &[PathBuf], base: Option<&Path>) -> Result<Vec<Opened>, Error> {
    open_all(paths, base, Named::ForAll, NonZeroUsize::MIN)
}

/// What the base that the caller names is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// For what has no distilled base of its own.
    ForOthers,
    /// For that, too, which is moved onto it.
    ForAll,
}

fn open_all(
    paths: &[PathBuf],
    base: Option<&Path>,
    purpose: Named,
    threads: NonZeroUsize,
) -> Result<Vec<Opened>, Error> {
    let running = [PathBuf::from(RUNNING_KERNEL)];
    if paths.is_empty() && !Path::new(RUNNING_KERNEL).exists() {
        return Err(Error::no_kernel(RUNNING_KERNEL));
    }
    let named = if paths.is_empty() { &running } else { paths };
    check_named(paths, base)?;
    let mut bases = Bases::new(base)?;
    let files = find(named)?;
    let read = |index: usize| {
        let path: &PathBuf = &files[index];
        // A base that is named may be wanted even by what seems to stand alone.
        if base.is_none()
            && let Some(btf) = files::read_plain(path)
        {
            return Ok(vec![Found::Whole(Source {
                path: path.clone(),
                part: None,
                btf: Arc::new(btf),
                base: Base::None,
                pointer_size: None,
                ext: None,
            })]);
        }
        blobs_of(path, read(path)?, &bases, purpose)
    };
    let mut found = Vec::new();
    let read = in_order(files.len(), threads, read);
    for (path, blobs) in files.iter().zip(read) {
        match blobs {
            Ok(blobs) => found.extend(blobs.into_iter().map(Ok)),
            Err(error) => found.push(Err((path.clone(), error))),
        }
    }
    // From here on everything that stands alone is known, and may be a base of the rest.
    for blob in &found {
        if let Ok(Found::Whole(source)) = blob
            && source.base == Base::None
        {
            bases.offer(&source.path, source.part, &source.btf);
        }
    }
    let sources = found.into_iter().map(|blob| match blob? {
        Found::Whole(source) => Ok(source),
        Found::Split(split) => {
            let path = split.path.clone();
            split.join(&mut bases).map_err(|error| (path, error))
        }
    });
    Ok(sources.collect())
}

/// The files with BTF below a folder, in the order of their paths; a path that is no folder is itself.
///
/// # Errors
/// A folder that cannot be read, or that holds no BTF.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, Error> {
    find(&[path.to_owned()])
}

/// Whether the BTF of a file continues that of another file; of raw BTF no more is read than it takes to know. Standard input,
/// which can be read only once, is taken for BTF that stands alone.
///
/// # Errors
/// A file that cannot be read, or is cut off.
pub fn is_split(path: &Path) -> Result<bool, Error> {
    if path == Path::new(STDIN) {
        return Ok(false);
    }
    if let Some(byte) = files::first_string_byte(path) {
        return Ok(byte != 0);
    }
    let contents = read(path)?;
    blobs::check_len(&contents.btf)
        .map_err(|error| Error::reading(path.display().to_string(), error))?;
    Ok(contents.base.is_some() || bases::is_split(&contents.btf))
}

/// Reads the BTF of one file; `base` is what it continues, if that is not to be found.
///
/// # Errors
/// Those of [`open`], or a file with several blobs.
pub fn open_one(path: &Path, base: Option<&Path>) -> Result<Source, Error> {
    only(open(&[path.to_owned()], base)?, path)
}

/// As [`open_one`]; what has a distilled base is moved from there onto `base`, as [`open_onto`] does it.
///
/// # Errors
/// Those of [`open_onto`], or a file with several blobs.
pub fn open_one_onto(path: &Path, base: Option<&Path>) -> Result<Source, Error> {
    only(open_onto(&[path.to_owned()], base)?, path)
}

fn only(mut sources: Vec<Source>, path: &Path) -> Result<Source, Error> {
    let count = sources.len();
    match sources.pop() {
        Some(source) if count == 1 => Ok(source),
        _ => Err(Error::many_blobs(path, count)),
    }
}

/// Reads split BTF that continues `base`, which was read from `base_path`; what has a base of its own is moved onto it.
///
/// # Errors
/// A file that cannot be read, does not continue `base`, or cannot be moved.
pub fn open_on(path: &Path, base: &Arc<Btf>, base_path: &Path) -> Result<Arc<Btf>, Error> {
    let title = path.display().to_string();
    let reading = |error| Error::reading(title.clone(), error);
    let contents = files::read(path).map_err(reading)?;
    if let Some(own) = contents.base {
        let own = Arc::new(Btf::parse(&own, None).map_err(reading)?);
        let split = Btf::parse(&contents.btf, Some(own)).map_err(reading)?;
        let moved = relocate(&split, base.clone()).map_err(reading)?;
        return Ok(Arc::new(moved.btf));
    }
    let btf = Btf::parse(&contents.btf, Some(base.clone())).map_err(reading)?;
    bases::fit(&btf).map_err(|error| Error::wrong_base(&title, base_path, error))?;
    Ok(Arc::new(btf))
}

/// Calls `work` with each number below `count`, on several threads, and returns the results in order.
fn in_order<R: Send>(
    count: usize,
    threads: NonZeroUsize,
    work: impl Fn(usize) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work_off = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            done.push((index, work(index)));
        }
    };
    let mut results = std::thread::scope(|scope| {
        // The calling thread works, too, so that one that cannot be started is no loss.
        let others = 1..threads.get().min(count);
        let others: Vec<_> = others
            .filter_map(|_| {
                std::thread::Builder::new()
                    .spawn_scoped(scope, work_off)
                    .ok()
            })
            .collect();
        let mut results = work_off();
        for other in others {
            match other.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A blob that has been found.
enum Found {
    /// It stands alone, or its base is in the same file.
    Whole(Source),
    /// Its base must be looked for.
    Split(Split),
}

/// A blob that continues another one.
struct Split {
    path: PathBuf,
    part: Option<Part>,
    btf: Vec<u8>,
    ext: Option<Arc<[u8]>>,
    pointer_size: Option<u8>,
}

impl Split {
    fn join(self, bases: &mut Bases) -> Result<Source, Error> {
        let title = title(&self.path, self.part);
        let (btf, base) = bases.join(&self.path, &title, &self.btf)?;
        Ok(Source {
            path: self.path,
            part: self.part,
            btf: Arc::new(btf),
            base: Base::File(base),
            pointer_size: self.pointer_size,
            ext: self.ext,
        })
    }
}

/// Takes what a file holds apart.
fn blobs_of(
    path: &Path,
    contents: Contents,
    bases: &Bases,
    purpose: Named,
) -> Result<Vec<Found>, Error> {
    let is_named = contents
        .base_path
        .as_deref()
        .is_some_and(|path| bases.is_named(path));
    let own_base = contents.base.filter(|_| !is_named);
    let own_base = own_base.map(|bytes| Btf::parse(&bytes, None));
    let own_base = own_base
        .transpose()
        .map_err(|error| Error::reading(format!("{}: .BTF.base", path.display()), error))?
        .map(Arc::new);
    let btfs = blobs::parts(&contents.btf, blobs::end_of_btf);
    let exts = contents.ext.as_deref();
    let exts = exts.map(|ext| blobs::split(ext, blobs::end_of_ext));
    let exts = exts.unwrap_or_default();
    let count = btfs.len();
    let mut found = Vec::with_capacity(count);
    for (index, &(part, bytes)) in btfs.iter().enumerate() {
        blobs::check_end(bytes).map_err(|error| Error::reading(title(path, part), error))?;
        // If some inputs had none, nobody knows which.
        let ext = exts.get(index).filter(|_| exts.len() == count);
        let ext = ext.map(|&(_, bytes)| bytes.into());
        let pointer_size = contents.pointer_size;
        if own_base.is_none() && bases.wants(bytes) {
            found.push(Found::Split(Split {
                path: path.to_owned(),
                part,
                btf: bytes.to_vec(),
                ext,
                pointer_size,
            }));
            continue;
        }
        let mut btf = Btf::parse(bytes, own_base.clone())
            .map_err(|error| Error::reading(title(path, part), error))?;
        let mut base = match (&own_base, &contents.base_path) {
            (None, _) => Base::None,
            (Some(_), None) => Base::Own,
            (Some(_), Some(path)) => Base::File(path.clone()),
        };
        if own_base.is_some()
            && purpose == Named::ForAll
            && let Some((named, onto)) = bases.named()
        {
            let moved = relocate(&btf, onto.clone());
            btf = moved
                .map_err(|error| Error::not_moved(&title(path, part), named, error))?
                .btf;
            base = Base::File(named.to_owned());
        }
        found.push(Found::Whole(Source {
            path: path.to_owned(),
            part,
            base,
            btf: Arc::new(btf),
            pointer_size,
            ext,
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
