//! A new file as ranges of the old one and new bytes, so that a file of hundreds of megabytes is mapped once and never copied
//! in memory.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::io::{Read, Write};
use std::ops::Range;

use super::headers::slice;
use crate::error::{Error, ErrorKind, Result};

/// How much of the old file is written at once, in bytes; what was written can then be unmapped.
const CHUNK_BYTES: usize = 4 << 20;

/// An ELF file that is not written yet, as ranges of the old one and new bytes.
#[derive(Debug)]
pub struct Plan<'a> {
    pub(super) file: &'a [u8],
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) len: u64,
    pub(super) drops_signature: bool,
}

impl Plan<'_> {
    /// The length of the new file in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.len
    }

    /// Whether the old file ends in a module's signature, which the new one has no use for.
    ///
    /// The kernel takes a module without one for an unsigned module; one that is void it refuses.
    #[must_use]
    pub fn drops_signature(&self) -> bool {
        self.drops_signature
    }

    /// Writes the new file. `done_with` is told each range of the old one, in bytes, when it is written, so that it can be
    /// unmapped; all but the names of the sections is read once.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if `out` has an error.
    pub fn write_to<W: Write + ?Sized>(
        &self,
        out: &mut W,
        mut done_with: impl FnMut(Range<u64>),
    ) -> Result<()> {
        let failed = |error| Error::new(ErrorKind::Io("write the output")).caused_by(error);
        for piece in &self.pieces {
            match piece {
                Piece::New(bytes) => out.write_all(bytes).map_err(failed)?,
                Piece::Zeros(count) => {
                    let mut zeros = std::io::repeat(0).take(*count);
                    std::io::copy(&mut zeros, out).map_err(failed)?;
                }
                Piece::Old(range) => {
                    let mut start = range.start;
                    let bytes = slice(self.file, range).unwrap_or_default();
                    for chunk in bytes.chunks(CHUNK_BYTES) {
                        out.write_all(chunk).map_err(failed)?;
                        let end = start + chunk.len() as u64;
                        done_with(start..end);
                        start = end;
                    }
                }
            }
        }
        Ok(())
    }

    /// The new file as one piece of memory.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        // Writing to memory has no errors.
        let _ = self.write_to(&mut out, |_| {});
        out
    }
}

/// A part of the new file.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// Bytes of the old file.
    Old(Range<u64>),
    /// New bytes.
    New(Cow<'a, [u8]>),
    /// So many zeros.
    Zeros(u64),
}

impl Piece<'_> {
    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Old(range) => range.end - range.start,
            Self::New(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
        }
    }
}
