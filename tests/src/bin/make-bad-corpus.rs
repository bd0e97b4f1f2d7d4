//! `make-bad-corpus [FOLDER]`: writes the hostile inputs, one file per broken rule, and their table for the README.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use btf_tests::{bad, corpus};

#[expect(clippy::print_stdout, reason = "it is a program")]
fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| corpus::root().join("bad"), PathBuf::from);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    println!("| file | rule |\n|---|---|");
    for file in bad::all() {
        let path = folder.join(file.name);
        std::fs::write(&path, &file.bytes).with_context(|| path.display().to_string())?;
        println!("| `{}` | {} |", file.name, file.rule);
    }
    Ok(())
}
