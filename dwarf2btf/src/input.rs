//! Maps the input file and finds in it what the encoder reads.
//!
//! The file is mapped, not read: names and values are borrowed from it until the output is written, so that the encoder's
//! own memory stays near the size of its output. Two things follow. Nobody may write to the file meanwhile, which the mapping
//! cannot prevent: [`Input::check_unchanged`] reports it at the end, and a program ends with an error where bytes are gone
//! that it reads ([`exit_if_cut_off`]). And pages that will not be read again are given back ([`Input::release`]), since they
//! count as this process's memory while they are mapped.
//!
//! This and its `cut_off` are the only modules of the crate with unsafe code.

mod compression;
mod cut_off;
mod image;
mod machines;
mod other_files;
mod relocation;

use std::fs::{File, Metadata};
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use btf_core::{Error, ErrorKind, Result};
use memmap2::{Mmap, UncheckedAdvice};

pub use cut_off::exit_if_cut_off;
pub use image::{Image, Section, SectionHeader, Symbol};
pub use relocation::{Relocated, RelocationCursor, Relocations};

/// The granularity of [`Input::release`] in bytes: the largest page size of the machines that Linux runs on.
const PAGE_BYTES: u64 = 1 << 16;

/// A mapped input file.
#[derive(Debug)]
pub struct Input {
    /// Dropped before the mapping.
    _named: cut_off::Named,
    map: Mmap,
    file: File,
    path: PathBuf,
    /// Size and time of the last change when the file was opened.
    stamp: (u64, Option<SystemTime>),
}

impl Input {
    /// Opens and maps the file at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if it cannot be opened or mapped, as a pipe cannot.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |what| move |error: std::io::Error| io_error(what, error);
        let file = File::open(path).map_err(failed("open the file"))?;
        let metadata = file.metadata().map_err(failed("read the file's size"))?;
        if !metadata.is_file() {
            let what = match metadata.file_type() {
                kind if kind.is_dir() => "an input that is not a regular file, but a folder",
                kind if kind.is_fifo() => {
                    "an input that is not a regular file, but a pipe: write it to a file first"
                }
                _ => "an input that is not a regular file",
            };
            return Err(Error::new(ErrorKind::Unsupported(what.into())));
        }
        #[expect(unsafe_code, reason = "the file is mapped instead of being read")]
        // SAFETY: The mapping is read-only and private to this struct. What cannot be guaranteed is that no other process
        // writes to the file or cuts it off while it is mapped: then bytes change under references to them, which Rust
        // does not allow, or reading raises SIGBUS, which ends the process (see `exit_if_cut_off`). All that is read from the
        // map is untrusted and checked where it is used, lengths are never read twice to decide on an access, and
        // `check_unchanged` makes such a run fail in the end.
        let map = unsafe { Mmap::map(&file) }.map_err(failed("map the file"))?;
        Ok(Self {
            _named: cut_off::Named::new(map.as_ptr_range(), path),
            map,
            file,
            path: path.to_owned(),
            stamp: stamp(&metadata),
        })
    }

    /// The path that the file was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the file in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Finds the sections and symbols, and unpacks compressed debug sections.
    ///
    /// # Errors
    /// As [`Image::parse`].
    pub fn image(&self) -> Result<Image<'_>> {
        let image = Image::parse(&self.map)?;
        for range in &image.unpacked {
            self.release(range.clone());
        }
        Ok(image)
    }

    /// Checks that nobody has written to the file since it was opened, as far as its size and the time of its last change tell.
    /// They do not if somebody writes through a mapping of the file to pages that were written to before and have not reached the
    /// disk yet, in the same tick of the clock as before the file was opened, or sets the time back.
    ///
    /// A file that was *replaced* has not changed: the mapping still holds the old one.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if size or time differ, [`ErrorKind::Io`] if they cannot be read.
    pub fn check_unchanged(&self) -> Result<()> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|error| io_error("read the file's size", error))?;
        if stamp(&metadata) == self.stamp {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Changed))
        }
    }

    /// Gives the pages of `range` (in bytes of the file) back to the system; only those that lie in it as a whole.
    ///
    /// They may still be read, at the price of mapping them again. Failure is ignored: it costs memory only.
    pub fn release(&self, range: Range<u64>) {
        let Some((offset, length)) = whole_pages(&range, self.size_bytes()) else {
            return;
        };
        #[expect(
            unsafe_code,
            reason = "the system must be told which pages are done with"
        )]
        // SAFETY: The range lies in the map and consists of whole pages. The map is read-only and backed by a file, so a
        // dropped page reads the same bytes again when it is next touched: references into it stay valid. That holds as long
        // as nobody writes to the file, the reservation made in `open`.
        let _ = unsafe {
            self.map
                .unchecked_advise_range(UncheckedAdvice::DontNeed, offset, length)
        };
    }
}

/// The offset and length in bytes of the whole pages in `range`, if there are any.
fn whole_pages(range: &Range<u64>, size: u64) -> Option<(usize, usize)> {
    let start = range.start.checked_next_multiple_of(PAGE_BYTES)?;
    let end = range.end.min(size) / PAGE_BYTES * PAGE_BYTES;
    let length = end.checked_sub(start).filter(|&length| length > 0)?;
    Some((start.try_into().ok()?, length.try_into().ok()?))
}

fn stamp(metadata: &Metadata) -> (u64, Option<SystemTime>) {
    (metadata.len(), metadata.modified().ok())
}

fn io_error(what: &'static str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io(what)).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn pages_are_rounded_inward() {
        const MIB: u64 = 1 << 20;
        assert_eq!(whole_pages(&(0..PAGE_BYTES), MIB), Some((0, 65_536)));
        assert_eq!(
            whole_pages(&(1..PAGE_BYTES * 2), MIB),
            Some((65_536, 65_536))
        );
        assert_eq!(whole_pages(&(1..PAGE_BYTES * 2 - 1), MIB), None);
        assert_eq!(whole_pages(&(0..u64::MAX), 70_000), Some((0, 65_536)));
        assert_eq!(whole_pages(&(u64::MAX - 1..u64::MAX), MIB), None);
        assert_eq!(whole_pages(&(9..9), MIB), None);
    }

    #[test]
    fn released_pages_read_the_same() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..400_000u32).map(|i| (i % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        let input = Input::open(file.path()).unwrap();
        assert_eq!(input.map[..], bytes[..]);
        input.release(0..u64::MAX);
        assert_eq!(input.map[..], bytes[..]);
        input.check_unchanged().unwrap();
    }

    #[test]
    fn a_file_that_grows_is_noticed() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"before").unwrap();
        let input = Input::open(file.path()).unwrap();
        input.check_unchanged().unwrap();
        file.write_all(b" and after").unwrap();
        let error = input.check_unchanged().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Changed);
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(Input::open(file.path()).unwrap().image().is_err());
        file.write_all(b"\x7fELF\x02\x01\x01").unwrap();
        assert!(Input::open(file.path()).unwrap().image().is_err());
        assert!(Input::open(Path::new("/")).is_err());
        assert!(Input::open(Path::new("/nonexistent")).is_err());
    }
}
