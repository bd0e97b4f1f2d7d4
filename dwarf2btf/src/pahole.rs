//! Answers to the name `pahole`, as pahole 1.32 does where kernels are built.
//!
//! A kernel's scripts, from 5.15 to 7.2, call `$(PAHOLE)` for its version and to write the BTF of vmlinux and of each module. A
//! link to this program stands in for it: same options, same files, same features, other speed. [`table`] has the options,
//! [`parse`] takes a command line apart, [`request`] says what it means, [`run`] does it.
//!
//! The exit status is ours: 0 done, 2 could not. A file without debugging information is 0 with a note, which kernel builds
//! rely on, and nothing is written. Everything else that fails is 2 and leaves the file as it was; pahole ends most of these
//! with 0, and the build goes on without BTF or with half of it.
//!
//! What pahole shows is shown by `btf-dump`; asked for it, we name that command.

mod parse;
mod request;
mod run;
mod table;

pub(crate) use run::main;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether a program called so is called as pahole: `pahole` in any folder, also with a version or the like behind it, such
/// as `pahole-1.32`.
pub(crate) fn is_name(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().unwrap_or_default();
    match name.as_bytes().strip_prefix(b"pahole") {
        Some([]) => true,
        Some([next, ..]) => matches!(next, b'-' | b'.' | b'_'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_may_stand_behind_the_name() {
        for name in ["pahole", "/usr/bin/pahole", "./pahole-1.32", "pahole.real"] {
            assert!(is_name(name.as_ref()), "{name}");
        }
        for name in [
            "dwarf2btf",
            "/opt/pahole/dwarf2btf",
            "paholes",
            "mypahole",
            "",
        ] {
            assert!(!is_name(name.as_ref()), "{name}");
        }
    }
}
