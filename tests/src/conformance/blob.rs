//! BTF written field by field, with every field open to abuse.

use btf_core::kind::Kind;
use btf_core::wire::{ByteOrder, Info};

/// A blob that is being written.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The magic number, version and flags.
    pub(super) start: (u16, u8, u8),
    /// The header's length, and the fields behind it, as far as they are not what follows from the rest.
    pub(super) hdr_len: u32,
    pub(super) fields: [Option<u32>; 6],
    /// Bytes of the header behind its last known field.
    pub(super) header_tail: Vec<u8>,
    pub(super) words: Vec<u32>,
    pub(super) layout: Vec<u8>,
    pub(super) strings: Vec<u8>,
    /// Where own strings and types start.
    first_string: u32,
    next_id: u32,
    /// Bytes between types and what follows, and behind everything.
    pub(super) gap: usize,
    pub(super) trailing: usize,
    /// Whether the strings stand in front of the types.
    pub(super) has_strings_first: bool,
    /// How many bytes of the blob there are, if not all.
    pub(super) cut: Option<usize>,
}

fn len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Blob {
    pub(super) fn new() -> Self {
        Self {
            start: (btf_core::wire::MAGIC, 1, 0),
            hdr_len: 24,
            fields: [None; 6],
            header_tail: Vec::new(),
            words: Vec::new(),
            layout: Vec::new(),
            strings: vec![0],
            first_string: 0,
            next_id: 1,
            gap: 0,
            trailing: 0,
            has_strings_first: false,
            cut: None,
        }
    }

    /// An empty blob that continues `base`.
    pub(super) fn after(base: &Self) -> Self {
        Self {
            strings: Vec::new(),
            first_string: len(base.strings.len()),
            next_id: base.next_id,
            ..Self::new()
        }
    }

    /// The offset of a new string.
    pub(super) fn name(&mut self, name: impl AsRef<[u8]>) -> u32 {
        let offset = self.first_string + len(self.strings.len());
        self.strings.extend(name.as_ref());
        self.strings.push(0);
        offset
    }

    /// One past the last string offset.
    pub(super) fn end_string(&self) -> u32 {
        self.first_string + len(self.strings.len())
    }

    /// Adds a record; returns its id.
    pub(super) fn record(&mut self, words: [u32; 3], rest: &[u32]) -> u32 {
        self.words.extend(words);
        self.words.extend(rest);
        self.next_id += 1;
        self.next_id - 1
    }

    /// Adds a record of a kind.
    pub(super) fn raw(
        &mut self,
        name: u32,
        kind: Kind,
        vlen: u32,
        third: u32,
        rest: &[u32],
    ) -> u32 {
        self.record([name, Info::new(kind, vlen, false).0, third], rest)
    }

    /// Adds a record of a kind with `kind_flag`.
    pub(super) fn flagged(
        &mut self,
        name: u32,
        kind: Kind,
        vlen: u32,
        third: u32,
        rest: &[u32],
    ) -> u32 {
        self.record([name, Info::new(kind, vlen, true).0, third], rest)
    }

    /// The id of the next record.
    pub(super) fn next_id(&self) -> u32 {
        self.next_id
    }

    pub(super) fn int(&mut self, name: &str) -> u32 {
        let name = self.name(name);
        self.raw(name, Kind::Int, 0, 4, &[1 << 24 | 32])
    }

    pub(super) fn ptr(&mut self, target: u32) -> u32 {
        self.raw(0, Kind::Ptr, 0, target, &[])
    }

    pub(super) fn constant(&mut self, target: u32) -> u32 {
        self.raw(0, Kind::Const, 0, target, &[])
    }

    pub(super) fn named(
        &mut self,
        kind: Kind,
        name: impl AsRef<[u8]>,
        third: u32,
        rest: &[u32],
    ) -> u32 {
        let name = self.name(name);
        self.raw(name, kind, 0, third, rest)
    }

    pub(super) fn array(&mut self, element: u32, index: u32, count: u32) -> u32 {
        self.raw(0, Kind::Array, 0, 0, &[element, index, count])
    }

    /// A structure of members that are name, type and offset.
    pub(super) fn composite(&mut self, name: &str, size: u32, members: &[[u32; 3]]) -> u32 {
        let name = if name.is_empty() { 0 } else { self.name(name) };
        self.raw(
            name,
            Kind::Struct,
            len(members.len()),
            size,
            members.as_flattened(),
        )
    }

    /// A structure with `kind_flag`, whose offsets have the number of bits in their upper byte.
    pub(super) fn bitfields(&mut self, size: u32, members: &[[u32; 3]]) -> u32 {
        self.flagged(
            0,
            Kind::Struct,
            len(members.len()),
            size,
            members.as_flattened(),
        )
    }

    /// A prototype of parameters that are name and type.
    pub(super) fn proto(&mut self, result: u32, params: &[[u32; 2]]) -> u32 {
        self.raw(
            0,
            Kind::FuncProto,
            len(params.len()),
            result,
            params.as_flattened(),
        )
    }

    /// A section of entries that are type, offset and size.
    pub(super) fn datasec(
        &mut self,
        name: impl AsRef<[u8]>,
        size: u32,
        entries: &[[u32; 3]],
    ) -> u32 {
        let name = self.name(name);
        self.raw(
            name,
            Kind::Datasec,
            len(entries.len()),
            size,
            entries.as_flattened(),
        )
    }

    /// The bytes.
    pub(super) fn bytes(&self, order: ByteOrder) -> Vec<u8> {
        let types = len(self.words.len() * 4);
        let (gap, strings) = (len(self.gap), len(self.strings.len()));
        let layout = len(self.layout.len());
        let (type_off, layout_off, str_off) = if self.has_strings_first {
            (strings, strings + types, 0)
        } else {
            (0, types + gap, types + gap + layout)
        };
        let known = [type_off, types, str_off, strings, layout_off, layout];
        let count = if self.hdr_len >= 32 { 6 } else { 4 };
        let fields: Vec<u32> = (0..count)
            .map(|index| match self.fields[index] {
                Some(value) => value,
                None if index == 4 && layout == 0 => 0,
                None => known[index],
            })
            .collect();
        let (magic, version, flags) = self.start;
        let mut out = order.u16_bytes(magic).to_vec();
        out.extend([version, flags]);
        order.put_words(&[self.hdr_len], &mut out);
        order.put_words(&fields, &mut out);
        out.extend(&self.header_tail);
        if self.has_strings_first {
            out.extend(&self.strings);
        }
        order.put_words(&self.words, &mut out);
        out.resize(out.len() + self.gap, 0);
        out.extend(&self.layout);
        if !self.has_strings_first {
            out.extend(&self.strings);
        }
        out.resize(out.len() + self.trailing, 0);
        out.truncate(self.cut.unwrap_or(out.len()));
        out
    }
}

/// A blob of types and strings only, in the other byte order.
pub(super) fn swap(bytes: &[u8]) -> Vec<u8> {
    let word = |at: usize| {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
        word.map_or(0, |&word| u32::from_le_bytes(word)) as usize
    };
    let mut out = bytes.to_vec();
    out[..2].reverse();
    let end = word(4) + word(8) + word(12);
    for chunk in out[4..end].chunks_exact_mut(4) {
        chunk.reverse();
    }
    out
}
