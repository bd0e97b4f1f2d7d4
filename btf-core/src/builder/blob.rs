//! The bytes of what was built, piece by piece: written to a file, they are never in memory all at once.

use std::convert::Infallible;
use std::io::{self, Write};

use super::{Builder, WriteOptions};
use crate::wire::{ByteOrder, HEADER_LEN_LAYOUT, Header, LayoutEntry};

/// The size in bytes of the pieces in which types are written: they stay in the processor's cache.
const PIECE: usize = if cfg!(test) { 64 } else { 1 << 17 };

/// BTF that can be written.
#[derive(Debug)]
pub struct Blob<'b> {
    builder: &'b Builder,
    order: ByteOrder,
    header: Header,
    layout: Vec<LayoutEntry>,
}

impl Builder {
    /// Makes what was built ready to be written; nothing can be wrong with it any more.
    ///
    /// # Errors
    /// Those of [`Builder::write`].
    pub fn blob(&self, order: ByteOrder, options: WriteOptions) -> crate::error::Result<Blob<'_>> {
        self.check_records(options)?;
        let layout = if options.layout {
            self.layout_entries()
        } else {
            Vec::new()
        };
        Ok(Blob {
            builder: self,
            order,
            header: self.header(layout.len() * 4, options.layout)?,
            layout,
        })
    }
}

impl Blob<'_> {
    /// Its size in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is a header at least")]
    pub fn len(&self) -> u64 {
        let header = &self.header;
        u64::from(header.hdr_len) + u64::from(header.str_off) + u64::from(header.str_len)
    }

    /// Writes it, in few large pieces.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.put(|piece| out.write_all(piece))
    }

    /// All of it.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0));
        let Ok(()) = self.put(|piece| {
            all.extend_from_slice(piece);
            Ok::<_, Infallible>(())
        });
        all
    }

    /// Calls `put` with all of it, piece by piece.
    fn put<E>(&self, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut piece = Vec::with_capacity(PIECE + HEADER_LEN_LAYOUT as usize);
        self.header.put(self.order, &mut piece);
        for words in self.builder.words.chunks(PIECE / 4) {
            self.order.put_words(words, &mut piece);
            put(&piece)?;
            piece.clear();
        }
        piece.extend(self.layout.iter().flat_map(|entry| entry.bytes(self.order)));
        if !piece.is_empty() {
            put(&piece)?;
        }
        put(self.builder.strings.bytes())
    }
}
