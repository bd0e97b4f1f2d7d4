//! Puts sections into the input file itself, whole or not at all.

use btf_core::Result;
use btf_core::cli::output;
use btf_core::elf::{NewSection, put_sections};

use crate::input::Input;

/// Adds `sections` to the file that `input` was opened from, or replaces them there.
///
/// Whoever looks at the file, and whatever interrupts this process, sees the old file or the new one. Permissions stay.
///
/// # Errors
/// Those of [`put_sections`] and [`output::write_with`]; [`btf_core::ErrorKind::Changed`] if the file was written to since
/// it was opened. The file is then as it was.
pub fn write(input: &Input, sections: &[NewSection<'_>]) -> Result<()> {
    let plan = put_sections(input.bytes(), sections)?;
    output::write_with(input.path(), |out| {
        plan.write_to(out, |range| input.release(range))?;
        input.check_unchanged()
    })
}
