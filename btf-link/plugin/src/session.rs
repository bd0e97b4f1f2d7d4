//! One run of ld: what it has shown, and what becomes of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use btf_core::builder::{Builder, WriteOptions};
use btf_core::cli::output;
use btf_core::cli::sources;
use btf_core::elf::{NewSection, is_elf, put_sections};
use btf_link::link::{self, Failure, File, Options, SharedSymbol};
use btf_link::merge;

/// ELF's number for BPF, and where in a file it stands.
const EM_BPF: u16 = 247;
const MACHINE: std::ops::Range<usize> = 18..20;

/// What ld has told and shown.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The file that ld writes.
    pub(crate) output: PathBuf,
    /// Whether ld writes an object, not a program.
    pub(crate) is_relocatable: bool,
    files: Vec<File>,
    /// The object that ld got instead, which is removed at the end.
    made: Option<tempfile::NamedTempFile>,
    has_failed: bool,
}

/// Why the link fails: one message each.
pub(crate) type Messages = Vec<String>;

impl Session {
    /// Takes an object for BPF; returns its symbols, or `None` if ld keeps the file.
    pub(crate) fn claim(
        &mut self,
        name: &str,
        bytes: &[u8],
    ) -> Result<Option<Vec<SharedSymbol>>, Messages> {
        if !is_bpf(bytes) {
            return Ok(None);
        }
        let file = File::new(name.to_owned(), bytes.to_vec());
        let symbols = link::shared_symbols(&file);
        let symbols = symbols.map_err(|error| vec![format!("{name}: {}", with_causes(&error))])?;
        self.files.push(file);
        Ok(Some(symbols))
    }

    /// Links what was taken; returns the object that ld gets instead, if anything was.
    pub(crate) fn link(&mut self) -> Result<Option<PathBuf>, Messages> {
        if self.files.is_empty() {
            return Ok(None);
        }
        let linked = self.link_files();
        self.has_failed = linked.is_err();
        linked.map(Some)
    }

    fn link_files(&mut self) -> Result<PathBuf, Messages> {
        if !self.is_relocatable {
            let text = "objects for BPF are linked with -r: no loader takes a program that ld makes of them";
            return Err(vec![text.to_owned()]);
        }
        let bytes = link::link(&self.files, &Options::default()).map_err(messages)?;
        let cannot =
            |error: std::io::Error| vec![format!("cannot write a temporary file: {error}")];
        let mut file = tempfile::Builder::new()
            .prefix("btf-link-")
            .suffix(".o")
            .tempfile()
            .map_err(cannot)?;
        file.write_all(&bytes).map_err(cannot)?;
        let path = file.path().to_owned();
        self.made = Some(file);
        Ok(path)
    }

    /// Puts one BTF into ld's output where it has pasted several. What ld made without us, or could not make, stays as it is.
    pub(crate) fn finish(&mut self) -> Result<(), Messages> {
        self.made = None;
        if self.has_failed || !self.files.is_empty() {
            return Ok(());
        }
        merge_pasted(&self.output)
    }
}

fn is_bpf(bytes: &[u8]) -> bool {
    let machine = bytes
        .get(MACHINE)
        .and_then(|bytes| bytes.first_chunk::<2>());
    is_elf(bytes)
        && machine.is_some_and(|&bytes| {
            [u16::from_le_bytes(bytes), u16::from_be_bytes(bytes)].contains(&EM_BPF)
        })
}

/// Merges the BTF of a file in which several blobs stand behind each other.
fn merge_pasted(path: &Path) -> Result<(), Messages> {
    // Without a file, or with one whose header was never written, ld has failed and said so.
    let Ok(bytes) = std::fs::read(path) else {
        return Ok(());
    };
    if !is_elf(&bytes) {
        return Ok(());
    }
    let has_btf = btf_core::elf::sections(&bytes[..]).is_ok_and(|found| found.btf.is_some());
    if !has_btf {
        return Ok(());
    }
    let title = path.display();
    let opened = sources::open(&[path.to_owned()], None);
    let opened = opened.map_err(|error| vec![with_causes(&error)])?;
    if opened.len() < 2 {
        return Ok(());
    }
    let failed = |error: btf_core::Error| vec![format!("{title}: {}", with_causes(&error))];
    let order = opened
        .first()
        .map_or(btf_core::ByteOrder::NATIVE, |source| {
            source.btf.byte_order()
        });
    let inputs: Vec<_> = opened.into_iter().map(|source| source.btf).collect();
    let merged = merge::merge(&inputs, &merge::Options::default(), &|_| {});
    let merged = merged.map_err(|failure| failed(failure.error))?;
    let options = WriteOptions {
        wide_vlen: true,
        ..WriteOptions::default()
    };
    let builder = Builder::from_btf(&merged.btf);
    let btf = builder.write(order, options).map_err(failed)?;
    let section = NewSection {
        name: ".BTF",
        bytes: &btf,
    };
    let plan = put_sections(&bytes, &[section]).map_err(failed)?;
    output::write_with(path, |out| plan.write_to(out, |_| {})).map_err(failed)
}

/// What is wrong, one message each.
fn messages(failure: Failure) -> Messages {
    match failure {
        Failure::Unreadable(errors) => errors
            .into_iter()
            .map(|(name, error)| format!("{name}: {}", with_causes(&error)))
            .collect(),
        Failure::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        Failure::Impossible(error) => vec![with_causes(&error)],
    }
}

/// An error and what caused it, on one line.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
