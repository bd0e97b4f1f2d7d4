//! The fixed parts of the format, exactly as the kernel's header lays them out.
//!
//! Spec: include/uapi/linux/btf.h of Linux 7.2 (24-bit vlen, 7-bit kind, layout section); Documentation/bpf/btf.rst.

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

impl ByteOrder {
    /// The order of the machine that runs this.
    pub const NATIVE: Self = if cfg!(target_endian = "big") {
        Self::Big
    } else {
        Self::Little
    };
}
