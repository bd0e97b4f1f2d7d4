//! Which kernel an ELF file is, or was built for.
#![deny(clippy::indexing_slicing)]

use memchr::memmem;
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64};
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader};

use super::{damaged, is_elf, tables};
use crate::error::Result;

/// How `linux_banner` starts (`init/version.c`).
const BANNER: &[u8] = b"Linux version ";
/// How the entry of `.modinfo` starts that says what a module was built for (`include/linux/vermagic.h`).
const VERMAGIC: &[u8] = b"vermagic=";

/// The release of the kernel whose image `file` is, such as `6.1.0-56-cloud-amd64`; `None` if it does not tell, as
/// raw BTF does not.
///
/// # Errors
/// [`ErrorKind::Elf`](crate::ErrorKind::Elf) if it is ELF and cannot be read.
pub fn kernel_release<'a>(file: impl ReadRef<'a>) -> Result<Option<&'a str>> {
    if !file.read_bytes_at(0, 4).is_ok_and(is_elf) {
        return Ok(None);
    }
    // The class is the byte behind the magic number.
    let data = match file.read_bytes_at(4, 1) {
        Ok([1]) => section::<FileHeader32<Endianness>, _>(file, b".rodata"),
        _ => section::<FileHeader64<Endianness>, _>(file, b".rodata"),
    };
    let data = data?.unwrap_or_default();
    // The same words stand in formats, too.
    let mut releases = memmem::find_iter(data, BANNER)
        .filter_map(|at| first_word(data.get(at + BANNER.len()..)?))
        .filter(|release| release.starts_with(|c: char| c.is_ascii_digit()));
    Ok(releases.next())
}

/// The release of the kernel for which a module was built, by its section `.modinfo`; `None` if that does not tell.
#[must_use]
pub fn module_release(modinfo: &[u8]) -> Option<&str> {
    let mut entries = modinfo.split(|&byte| byte == 0);
    entries.find_map(|entry| first_word(entry.strip_prefix(VERMAGIC)?))
}

/// What stands before the first space, if there is one.
fn first_word(text: &[u8]) -> Option<&str> {
    /// As long as `UTS_RELEASE` may be (`__NEW_UTS_LEN`), and the space.
    const MAX_LEN: usize = 65;
    let text = text.get(..MAX_LEN).unwrap_or(text);
    let end = text.iter().position(|&byte| byte == b' ')?;
    std::str::from_utf8(text.get(..end)?).ok()
}

/// The bytes of the first section of that name.
fn section<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    file: R,
    name: &[u8],
) -> Result<Option<&'a [u8]>> {
    let (_, endian, sections) = tables::<Elf, R>(file)?;
    let Some((_, section)) = sections.section_by_name(endian, name) else {
        return Ok(None);
    };
    let data = section.data(endian, file).map_err(|error| {
        let offset = section.sh_offset(endian).into();
        damaged("section `.rodata`", offset, file.len()).caused_by(error)
    });
    data.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_tells_what_it_was_built_for() {
        let modinfo = b"license=GPL\0vermagic=6.1.0-56-cloud-amd64 SMP preempt \0name=dummy\0";
        assert_eq!(module_release(modinfo), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(module_release(b"vermagic=6.1"), None);
        assert_eq!(module_release(b""), None);
    }

    #[test]
    fn a_release_ends_somewhere() {
        assert_eq!(first_word(b"6.1 x"), Some("6.1"));
        assert_eq!(first_word(&[b'6'; 100]), None);
    }
}
