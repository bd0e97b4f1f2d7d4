//! `make-conformance [FOLDER]`: writes the conformance set, a file for each case and their index.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use btf_tests::{conformance, corpus};

fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| corpus::root().join("conformance"), PathBuf::from);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let cases = conformance::all();
    let files = cases
        .iter()
        .map(|case| (case.name.as_str(), case.bytes.clone()));
    let index = conformance::index(&cases).into_bytes();
    for (name, bytes) in files.chain([("index.jsonl", index)]) {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
