//! The fixed parts of the format, exactly as the kernel's header lays them out.
//!
//! Spec: include/uapi/linux/btf.h of Linux 7.2 (24-bit vlen, 7-bit kind, layout section); Documentation/bpf/btf.rst.

use crate::error::{ErrorKind, Result};
use crate::kind::Kind;

/// The first two bytes of BTF and `.BTF.ext`, in the file's byte order.
pub const MAGIC: u16 = 0xeb9f;
/// The only version there is.
pub const VERSION: u8 = 1;
/// The header's length in bytes without layout fields; what every kernel accepts.
pub const HEADER_LEN: u32 = 24;
/// The header's length in bytes with layout fields.
pub const HEADER_LEN_LAYOUT: u32 = 32;
/// The largest `vlen` that kernels before 7.2 accept.
pub const MAX_VLEN_16: u32 = 0xffff;
/// The largest `vlen` of the format.
pub const MAX_VLEN: u32 = 0x00ff_ffff;
/// The largest type id that kernels accept.
pub const MAX_TYPE_ID: u32 = 0x000f_ffff;
/// The largest string offset that kernels accept.
pub const MAX_NAME_OFFSET: u32 = 0x00ff_ffff;

/// The second word of a type record: `vlen` in bits 0 to 23, kind in bits 24 to 30, `kind_flag` in bit 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Info(pub u32);

impl Info {
    /// Packs the three fields; `vlen` is cut to 24 bits.
    #[must_use]
    pub const fn new(kind: Kind, vlen: u32, kind_flag: bool) -> Self {
        Self((vlen & MAX_VLEN) | ((kind as u32) << 24) | ((kind_flag as u32) << 31))
    }

    /// The number of elements, or a FUNC's linkage.
    #[must_use]
    pub const fn vlen(self) -> u32 {
        self.0 & MAX_VLEN
    }

    /// The kind's number, which may be unknown.
    #[must_use]
    pub const fn kind_number(self) -> u32 {
        (self.0 >> 24) & 0x7f
    }

    /// The kind, if it is known.
    #[must_use]
    pub const fn kind(self) -> Option<Kind> {
        Kind::from_number(self.kind_number())
    }

    /// The flag whose meaning depends on the kind.
    #[must_use]
    pub const fn kind_flag(self) -> bool {
        self.0 >> 31 != 0
    }
}

/// The bits of an INT's trailer word.
pub mod int {
    /// The value is signed.
    pub const SIGNED: u32 = 1;
    /// The value is a character.
    pub const CHAR: u32 = 2;
    /// The value is a boolean.
    pub const BOOL: u32 = 4;

    /// Packs `encoding`, `offset_bits` and `bits` into an INT's trailer word.
    #[must_use]
    pub const fn pack(encoding: u32, offset_bits: u32, bits: u32) -> u32 {
        (encoding & 0xf) << 24 | (offset_bits & 0xff) << 16 | (bits & 0xff)
    }
}

/// The linkage of a FUNC or VAR.
pub mod linkage {
    /// Visible in its file only.
    pub const STATIC: u32 = 0;
    /// Visible to other files.
    pub const GLOBAL: u32 = 1;
    /// Defined elsewhere.
    pub const EXTERN: u32 = 2;
}

/// The byte order of a BTF blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl std::fmt::Display for ByteOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Little => "little",
            Self::Big => "big",
        })
    }
}

impl ByteOrder {
    /// The order of the machine that runs this.
    pub const NATIVE: Self = if cfg!(target_endian = "big") {
        Self::Big
    } else {
        Self::Little
    };

    /// The order in which `bytes` start with [`MAGIC`], if they do.
    #[must_use]
    pub fn of_magic(bytes: &[u8]) -> Option<Self> {
        let magic = *bytes.first_chunk::<2>()?;
        [Self::Little, Self::Big]
            .into_iter()
            .find(|order| order.u16(magic) == MAGIC)
    }

    /// Reads 16 bits.
    #[must_use]
    pub const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    /// Reads a word of 32 bits.
    #[must_use]
    pub const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// Reads 64 bits.
    #[must_use]
    pub const fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    /// The bytes of 16 bits.
    #[must_use]
    pub const fn u16_bytes(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// The bytes of a word of 32 bits.
    #[must_use]
    pub const fn u32_bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// Reads all words of `bytes`; up to three bytes behind the last whole word are left out.
    #[must_use]
    pub fn words(self, bytes: &[u8]) -> Vec<u32> {
        self.words_into(bytes, Vec::new())
    }

    /// As [`Self::words`], into memory that was used before.
    pub(crate) fn words_into(self, bytes: &[u8], mut memory: Vec<u32>) -> Vec<u32> {
        let (words, _) = bytes.as_chunks::<4>();
        memory.clear();
        memory.extend(words.iter().map(|&word| self.u32(word)));
        memory
    }

    /// Appends the bytes of `words` to `out`.
    pub fn put_words(self, words: &[u32], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + words.len() * 4, 0);
        let (room, _) = out[start..].as_chunks_mut::<4>();
        for (to, &word) in room.iter_mut().zip(words) {
            *to = self.u32_bytes(word);
        }
    }
}

/// Checks the start that the headers of BTF and `.BTF.ext` share: magic number, version, flags and the header's length,
/// which is at least `min_len` bytes. Returns the byte order and the header.
///
/// Bytes behind the first `known_len` must be 0, because nobody can know what they mean.
pub(crate) fn parse_header(
    bytes: &[u8],
    min_len: u32,
    known_len: u32,
) -> Result<(ByteOrder, &[u8])> {
    let truncated = |needed: u32| ErrorKind::Truncated {
        needed: needed.into(),
        available: bytes.len() as u64,
    };
    let magic = bytes.first_chunk::<2>().ok_or_else(|| truncated(min_len))?;
    let Some(order) = ByteOrder::of_magic(bytes) else {
        return Err(ErrorKind::Magic(u16::from_le_bytes(*magic)).into());
    };
    let &[_, _, version, flags, l0, l1, l2, l3] =
        bytes.first_chunk::<8>().ok_or_else(|| truncated(min_len))?;
    let invalid = |what, value: u32| ErrorKind::Invalid {
        what,
        value: value.into(),
    };
    if version != VERSION {
        return Err(invalid("version", version.into()).into());
    }
    if flags != 0 {
        return Err(invalid("header flags", flags.into()).into());
    }
    let hdr_len = order.u32([l0, l1, l2, l3]);
    if hdr_len < min_len {
        return Err(invalid("header length", hdr_len).into());
    }
    let header = usize::try_from(hdr_len)
        .ok()
        .and_then(|len| bytes.get(..len))
        .ok_or_else(|| truncated(hdr_len))?;
    let mut unknown = header.iter().skip(known_len as usize);
    if let Some(&byte) = unknown.find(|&&byte| byte != 0) {
        return Err(invalid("byte in an unknown header field", byte.into()).into());
    }
    Ok((order, header))
}

/// The header of a BTF blob; offsets count in bytes from the end of the header, lengths in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The header's own length.
    pub hdr_len: u32,
    /// Where the type section starts.
    pub type_off: u32,
    /// The length of the type section.
    pub type_len: u32,
    /// Where the string section starts.
    pub str_off: u32,
    /// The length of the string section.
    pub str_len: u32,
    /// Where the layout section starts.
    pub layout_off: u32,
    /// The length of the layout section; 0 if there is none.
    pub layout_len: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`, and the byte order from its magic number.
    ///
    /// Bytes of a longer header must be 0.
    ///
    /// # Errors
    /// [`ErrorKind::Magic`], [`ErrorKind::Truncated`], or [`ErrorKind::Invalid`] for an unknown version, flag, length
    /// or header field.
    ///
    /// Spec: Documentation/bpf/btf.rst, 2 "BTF Type and String Encoding".
    pub fn parse(bytes: &[u8]) -> Result<(ByteOrder, Self)> {
        let (order, header) = parse_header(bytes, HEADER_LEN, HEADER_LEN_LAYOUT)?;
        // Fields that a shorter header lacks are 0, as the kernel and libbpf read them.
        let mut known = [0; HEADER_LEN_LAYOUT as usize];
        for (to, from) in known.iter_mut().zip(header) {
            *to = *from;
        }
        let (words, _) = known.as_chunks::<4>();
        let field = |index: usize| words.get(index).map_or(0, |&word| order.u32(word));
        let header = Self {
            hdr_len: field(1),
            type_off: field(2),
            type_len: field(3),
            str_off: field(4),
            str_len: field(5),
            layout_off: field(6),
            layout_len: field(7),
        };
        Ok((order, header))
    }

    /// Appends the header to `out`: 32 bytes with the layout fields if `hdr_len` says so, else 24.
    pub fn put(&self, order: ByteOrder, out: &mut Vec<u8>) {
        out.extend(order.u16_bytes(MAGIC));
        out.extend([VERSION, 0]);
        let fields = [
            self.hdr_len,
            self.type_off,
            self.type_len,
            self.str_off,
            self.str_len,
        ];
        order.put_words(&fields, out);
        if self.hdr_len >= HEADER_LEN_LAYOUT {
            order.put_words(&[self.layout_off, self.layout_len], out);
        }
    }
}

/// What the layout section says about one kind; its index in the section is the kind's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayoutEntry {
    /// The bytes that follow a record's header once.
    pub trailer_size: u8,
    /// The bytes of each of the `vlen` elements.
    pub element_size: u8,
    /// Flags; none is defined.
    pub flags: u16,
}

impl LayoutEntry {
    /// The entry of a known kind; kind number 0 has the empty entry.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        let size = |words: usize| u8::try_from(words * 4).unwrap_or(u8::MAX);
        Self {
            trailer_size: size(kind.info().trailer.len()),
            element_size: size(kind.info().element.len()),
            flags: 0,
        }
    }

    /// The entries of all known kinds, in the order of their numbers from 0.
    #[must_use]
    pub fn known() -> Vec<Self> {
        std::iter::once(Self::default())
            .chain(Kind::ALL.into_iter().map(Self::of))
            .collect()
    }

    /// Reads an entry.
    #[must_use]
    pub const fn parse(order: ByteOrder, [trailer_size, element_size, f0, f1]: [u8; 4]) -> Self {
        Self {
            trailer_size,
            element_size,
            flags: order.u16([f0, f1]),
        }
    }

    /// The bytes of the entry.
    #[must_use]
    pub const fn bytes(self, order: ByteOrder) -> [u8; 4] {
        let [f0, f1] = order.u16_bytes(self.flags);
        [self.trailer_size, self.element_size, f0, f1]
    }

    /// The length in 32-bit words of a record with `vlen` elements, its header included; `None` if the sizes are not
    /// whole words.
    #[must_use]
    pub const fn record_words(self, vlen: u32) -> Option<usize> {
        if !self.trailer_size.is_multiple_of(4) || !self.element_size.is_multiple_of(4) {
            return None;
        }
        let trailer = (self.trailer_size / 4) as usize;
        let element = (self.element_size / 4) as usize;
        match element.checked_mul(vlen as usize) {
            Some(elements) => elements.checked_add(3 + trailer),
            None => None,
        }
    }
}
