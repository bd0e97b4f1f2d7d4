//! Writes what was encoded, whole or not at all: into the input file itself, or into a file of its own.
//!
//! A distilled base belongs to its BTF as a section `.BTF.base` beside `.BTF`, or as a file beside the other.

use std::path::Path;

use btf_core::cli::output::{write_with, write_with_base};
use btf_core::elf::{NewSection, put_sections, sections};
use btf_core::{ErrorKind, Result};

use crate::input::Input;
use crate::report::Encoded;

/// Writes the BTF into the file that `input` was opened from: adds the sections, or replaces them there. Whether a module's
/// signature was dropped, which the new file would belie.
///
/// Whoever looks at the file, and whatever interrupts this process, sees the old file or the new one. Permissions stay.
///
/// # Errors
/// Those of [`put_sections`] and [`write_with`]; [`ErrorKind::Changed`] if the file was written to since it was opened;
/// [`ErrorKind::Unsupported`] if it has a `.BTF.base` that the new `.BTF` does not continue. The file is then as it was.
pub fn into_input(input: &Input, encoded: &Encoded) -> Result<bool> {
    let base = encoded.distilled_base.as_deref();
    if base.is_none() && sections(input.bytes())?.base.is_some() {
        let what =
            "a new `.BTF` beside the old `.BTF.base`; distil the base, or link the file again";
        return Err(ErrorKind::Unsupported(what.into()).into());
    }
    let section = |name, bytes| NewSection { name, bytes };
    let base = base.map(|base| section(".BTF.base", base));
    let sections: Vec<_> = [section(".BTF", &encoded.btf)]
        .into_iter()
        .chain(base)
        .collect();
    let plan = put_sections(input.bytes(), &sections)?;
    write_with(input.path(), |out| {
        plan.write_to(out, |range| input.release(range))?;
        input.check_unchanged()
    })?;
    Ok(plan.drops_signature())
}

/// Writes the BTF to `target`, and its distilled base, if there is one, to the file that [`base_path`](btf_core::cli::output::base_path) names.
///
/// # Errors
/// Those of [`write_with_base`].
pub fn to_file(target: &Path, encoded: &Encoded) -> Result<()> {
    write_with_base(target, &encoded.btf, encoded.distilled_base.as_deref())
}
