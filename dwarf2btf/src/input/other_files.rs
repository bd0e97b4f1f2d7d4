//! What a file is that is no ELF file, and what to do about it.

use btf_core::ByteOrder;

/// Offset and bytes by which a kind of file is known, and what to tell about it.
const KINDS: &[(usize, &[u8], &str)] = &[
    (
        0,
        b"!<arch>\n",
        "an archive: unpack it, and name one of its members",
    ),
    (0, b"!<thin>\n", "a thin archive: name one of its members"),
    (0, b"\x1f\x8b", "packed with gzip: unpack it first"),
    (0, b"\xfd7zXZ\0", "packed with xz: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "packed with zstd: unpack it first"),
    (0, b"BZh", "packed with bzip2: unpack it first"),
    (0, b"\xcf\xfa\xed\xfe", "a Mach-O file"),
    (
        0,
        b"MZ",
        "a PE file, as kernels are that EFI starts: name the vmlinux that it was made from",
    ),
    (
        0x202,
        b"HdrS",
        "a kernel to be booted: name the vmlinux that it was made from",
    ),
];

/// What `data`, which is no ELF file, is; nothing if that is not known.
pub(super) fn describe(data: &[u8]) -> Option<&'static str> {
    if ByteOrder::of_magic(data).is_some() {
        return Some("BTF already");
    }
    let is_it = |(offset, magic, _): &&(usize, &[u8], &str)| {
        data.get(*offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    // A kernel that both EFI and a boot loader can start is better told by the latter.
    let found = KINDS.iter().rev().find(is_it);
    found.map(|&(_, _, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        let starts = |data: &[u8], expect| {
            let what = describe(data);
            assert!(
                what.is_some_and(|what| what.starts_with(expect)),
                "{what:?}"
            );
        };
        starts(b"!<arch>\nfile", "an archive");
        starts(b"\x1f\x8b\x08", "packed with gzip");
        starts(b"\x9f\xeb\x01", "BTF already");
        starts(b"\xeb\x9f\x01", "BTF already");
        let mut kernel = vec![0; 0x400];
        kernel[..2].copy_from_slice(b"MZ");
        starts(&kernel, "a PE file");
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        starts(&kernel, "a kernel to be booted");
        assert_eq!(describe(b""), None);
        assert_eq!(describe(b"#!/bin/sh"), None);
    }
}
