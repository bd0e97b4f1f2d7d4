//! Files that a packer has made of others: distributions pack modules, and we do not unpack.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::{Printer, plural};
use super::files;

/// What packs files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packer {
    /// Its name.
    pub(super) name: &'static str,
    /// How its files start.
    magic: &'static [u8],
    /// How their names end, without the dot.
    extension: &'static str,
    /// The command that unpacks a file beside itself.
    unpack: &'static str,
}

/// Those that Linux may have packed modules with (`CONFIG_MODULE_COMPRESS_*`).
const PACKERS: [Packer; 3] = [
    Packer {
        name: "xz",
        magic: b"\xfd7zXZ\0",
        extension: "xz",
        unpack: "unxz --keep",
    },
    Packer {
        name: "zstd",
        magic: b"\x28\xb5\x2f\xfd",
        extension: "zst",
        unpack: "unzstd",
    },
    Packer {
        name: "gzip",
        magic: b"\x1f\x8b",
        extension: "gz",
        unpack: "gunzip --keep",
    },
];

impl Packer {
    /// What has packed a file that starts so.
    pub(super) fn of_start(start: &[u8]) -> Option<&'static Self> {
        let mut packers = PACKERS.iter();
        packers.find(|packer| start.starts_with(packer.magic))
    }

    /// What has packed a file, as its name and its first bytes tell.
    fn of_file(path: &Path) -> Option<&'static Self> {
        // Most files need not be opened.
        let extension = path.extension()?;
        let mut packers = PACKERS.iter();
        packers.find(|packer| extension == packer.extension)?;
        Self::of_start(&files::start_of(&mut File::open(path).ok()?).ok()?)
    }
}

/// Warns of the packed files below those of `paths` that are folders, which nobody looks into.
pub fn warn_of_packed<'p>(
    tool: &str,
    printer: &Printer,
    paths: impl IntoIterator<Item = &'p PathBuf>,
) {
    if printer.is_quiet() {
        return;
    }
    let packed = Packed::find(paths.into_iter().map(PathBuf::as_path));
    if let Some(hint) = packed.hint() {
        printer.warning(tool, &hint);
    }
}

/// How many files below folders are packed.
#[derive(Debug, Default)]
pub(super) struct Packed {
    count: u64,
    /// What has packed the first of them.
    packer: Option<&'static Packer>,
}

impl Packed {
    /// Looks for them below those of `paths` that are folders. What cannot be read is left to whoever reads the rest.
    pub(super) fn find<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut found = Self::default();
        for folder in paths.into_iter().filter(|path| path.is_dir()) {
            let files = files::below(folder).unwrap_or_default();
            for packer in files.iter().filter_map(|path| Packer::of_file(path)) {
                found.count += 1;
                found.packer.get_or_insert(packer);
            }
        }
        found
    }

    /// How many there are and how to unpack them; `None` if there are none.
    pub(super) fn hint(&self) -> Option<String> {
        let packer = self.packer?;
        let (is, them) = match self.count {
            1 => ("is", "it"),
            _ => ("are", "them"),
        };
        Some(format!(
            "{} {is} packed and not looked into; unpack {them} first, with `{} FILE`",
            plural(self.count, "file"),
            packer.unpack
        ))
    }
}
