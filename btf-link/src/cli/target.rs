//! The file that a command changes, and what it writes back: raw BTF, or an ELF file with other sections.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use btf_core::builder::{Builder, WriteOptions};
use btf_core::cli::sources::{Source, open_one};
use btf_core::cli::{Printer, output};
use btf_core::elf::{NewSection, is_elf, put_sections};
use btf_core::wire::MAX_VLEN_16;
use btf_core::{Btf, ByteOrder};
use btf_link::ids::{self, BtfIds};

use super::TOOL;

/// Where the result goes.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TargetArgs {
    /// Where to write the result; `-` is standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// Write the result into the file itself
    #[arg(long)]
    in_place: bool,
}

impl TargetArgs {
    /// Where the result for `file` goes: another file than it and `inputs`, or itself.
    pub(crate) fn path<'a>(
        &'a self,
        file: &'a Path,
        inputs: impl IntoIterator<Item = &'a Path>,
    ) -> Result<&'a Path> {
        let Some(output) = &self.output else {
            return Ok(file);
        };
        output::check_target(output, [file].into_iter().chain(inputs))?;
        Ok(output)
    }
}

/// A file with one blob of BTF.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) source: Source,
    /// The whole file, if it is ELF.
    pub(crate) elf: Option<Vec<u8>>,
    /// The ids beside the BTF.
    pub(crate) ids: Option<BtfIds>,
}

impl Subject {
    /// Reads a file.
    pub(crate) fn open(path: &Path, base: Option<&Path>) -> Result<Self> {
        let source = open_one(path, base)?;
        let name = || path.display().to_string();
        let mut elf = None;
        if source.pointer_size.is_some() {
            let mut bytes = Vec::new();
            let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
            read.context("cannot read the file").with_context(name)?;
            if !is_elf(&bytes) {
                bail!("{}: the file changed while it was read", name());
            }
            elf = Some(bytes);
        }
        let ids = elf.as_deref().map(BtfIds::read);
        let ids = ids.transpose().with_context(name)?.flatten();
        Ok(Self { source, elf, ids })
    }

    /// The byte order of what is written.
    pub(crate) fn order(&self) -> ByteOrder {
        self.source.btf.byte_order()
    }

    /// The section `.BTF_ids` with other ids, if there is one.
    pub(crate) fn new_ids(
        &self,
        printer: &Printer,
        new_id: impl Fn(btf_core::TypeId) -> Option<btf_core::TypeId>,
    ) -> Option<Vec<u8>> {
        let (bytes, lost) = self.ids.as_ref()?.translate(new_id);
        if lost > 0 {
            let text = format!(
                "{}: {lost} of the ids in `{}` have no type any more and are 0 now",
                self.source.title(),
                ids::SECTION
            );
            printer.warning(TOOL, &text);
        }
        Some(bytes)
    }

    /// Writes an ELF file with these sections; warns if a module has lost its signature by that.
    pub(crate) fn write_elf(
        &self,
        target: &Path,
        sections: &[NewSection<'_>],
        printer: &Printer,
    ) -> Result<()> {
        let elf = self.elf.as_deref().unwrap_or_default();
        let title = || self.source.title();
        let plan = put_sections(elf, sections).with_context(title)?;
        output::write_with(target, |out| plan.write_to(out, |_| {}))
            .with_context(|| target.display().to_string())?;
        if plan.drops_signature() {
            let text = format!("{}: signature dropped: it is void now", title());
            printer.warning(TOOL, &text);
        }
        Ok(())
    }
}

/// The bytes of BTF, as wide as it is.
pub(crate) fn bytes_of(btf: &Btf, order: ByteOrder) -> Result<Vec<u8>> {
    Builder::from_btf(btf)
        .write(order, options_of(btf))
        .context("the result")
}

/// What it takes to write BTF as it is.
pub(crate) fn options_of(btf: &Btf) -> WriteOptions {
    WriteOptions {
        layout: btf.layout().is_some(),
        wide_vlen: has_wide_vlen(btf),
    }
}

/// Whether a type has more elements than kernels before 7.2 know.
pub(crate) fn has_wide_vlen(btf: &Btf) -> bool {
    btf.records().any(|(_, record)| {
        let info = btf_core::Info(record.get(1).copied().unwrap_or(0));
        info.vlen() > MAX_VLEN_16
    })
}
