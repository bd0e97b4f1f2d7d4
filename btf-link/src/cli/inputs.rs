//! The arguments that say what goes in; commands that take many files share them.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use btf_core::Btf;
use btf_core::cli::Printer;
use btf_core::cli::output::check_target;
use btf_core::cli::sources::{STDIN, list};
use btf_core::elf::{is_elf, tables};
use object::Endianness;
use object::elf::{EM_BPF, FileHeader64};
use object::read::elf::FileHeader as _;

/// Where BTF comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Raw BTF, ELF, a folder of these, or `-` for standard input; `@LIST` is a file that names one in each line
    #[arg(value_name = "FILE", required_unless_present = "files_from")]
    files: Vec<PathBuf>,

    /// A file that names an input in each line; `-` is standard input
    #[arg(long, value_name = "LIST")]
    files_from: Vec<PathBuf>,
}

impl InputArgs {
    /// The paths of all of them; neither they nor `base` may be `output`.
    pub(crate) fn paths(&self, base: Option<&Path>, output: Option<&Path>) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for path in &self.files {
            match list_of(path) {
                Some(list) => read_list(list, &mut paths)?,
                None => paths.push(path.clone()),
            }
        }
        for list in &self.files_from {
            read_list(list, &mut paths)?;
        }
        if paths.is_empty() {
            bail!("no input: the list names no file");
        }
        if let Some(output) = output {
            let lists = self.files.iter().filter_map(|path| list_of(path));
            let lists = lists.chain(self.files_from.iter().map(PathBuf::as_path));
            let paths = paths.iter().map(PathBuf::as_path);
            check_target(output, paths.chain(base).chain(lists))?;
        }
        Ok(paths)
    }
}

/// The list that an argument names.
fn list_of(path: &Path) -> Option<&Path> {
    let list = path.as_os_str().as_bytes().strip_prefix(b"@")?;
    Some(Path::new(OsStr::from_bytes(list)))
}

/// What a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Raw BTF that stands alone.
    WholeBtf,
    /// Raw BTF that continues other BTF.
    SplitBtf,
    BpfObject,
}

impl Output {
    /// Whether a file can be what an earlier run has written; one that cannot be read is not.
    fn may_be(self, path: &Path) -> bool {
        let Ok(bytes) = std::fs::read(path) else {
            return false;
        };
        let whole = || Btf::parse(&bytes, None);
        match self {
            Self::WholeBtf => whole().is_ok(),
            Self::SplitBtf => !is_elf(&bytes) && whole().is_err(),
            Self::BpfObject => tables::<FileHeader64<Endianness>, _>(&*bytes)
                .is_ok_and(|(header, endian, _)| header.e_machine(endian) == EM_BPF),
        }
    }
}

/// `paths` to read for a command that writes this to `target`: if that is there, each folder has become its files with BTF but that one,
/// which is told. What an earlier run has written into a folder is no input of the next; a file that is named is left alone, and one
/// that no run has written is refused.
pub(crate) fn without_output(
    paths: &[PathBuf],
    output: Output,
    target: Option<&Path>,
    printer: &Printer,
) -> Result<Vec<PathBuf>> {
    let Some(target) = target.filter(|target| target.is_file()) else {
        return Ok(paths.to_vec());
    };
    let mut others = Vec::with_capacity(paths.len());
    for path in paths {
        if !path.is_dir() {
            others.push(path.clone());
            continue;
        }
        let before = others.len();
        for file in list(path)? {
            if check_target(target, [&*file]).is_ok() {
                others.push(file);
            } else if output.may_be(&file) {
                let text = format!("{}: left out, as it is the output", file.display());
                printer.say(&text);
            } else {
                bail!(
                    "{}: this input would be replaced by the output; name another output",
                    file.display()
                );
            }
        }
        if others.len() == before {
            bail!(
                "{}: no file with BTF in this folder but the output",
                path.display()
            );
        }
    }
    Ok(others)
}

/// Adds the files that a list names, one in each line that is not empty.
fn read_list(list: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let mut names = Vec::new();
    let read = if list == Path::new(STDIN) {
        std::io::stdin().lock().read_to_end(&mut names)
    } else {
        std::fs::File::open(list).and_then(|mut file| file.read_to_end(&mut names))
    };
    read.with_context(|| format!("{}: cannot read the list", list.display()))?;
    let names = names.split(|&byte| byte == b'\n');
    let names = names.map(|name| name.strip_suffix(b"\r").unwrap_or(name));
    let names = names.filter(|name| !name.is_empty());
    paths.extend(names.map(|name| PathBuf::from(OsStr::from_bytes(name))));
    Ok(())
}
