//! Makes the hostile inputs of `corpus/bad/`: one small file per broken rule.
//!
//! Every file is a valid one but for the rule that its name tells. To add one, add a row to `bad/elf.rs`, `bad/units.rs`
//! or `bad/types.rs` and run `cargo run -p btf-tests --bin make-bad-corpus`; a test compares the folder with the rows.

mod dwarf;
mod elf;
pub mod image;
pub mod large;
mod types;
mod units;

/// A hostile input.
#[derive(Clone, Debug)]
pub struct Bad {
    /// The file's name.
    pub name: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// All hostile inputs.
#[must_use]
pub fn all() -> Vec<Bad> {
    let mut all = elf::all();
    all.extend(units::all());
    all.extend(types::all());
    all
}

/// A row of a table of inputs.
type Row = (&'static str, &'static str, fn() -> Vec<u8>);

/// Makes the files of a table.
fn make(rows: &[Row]) -> Vec<Bad> {
    let rows = rows.iter();
    rows.map(|&(name, rule, bytes)| Bad {
        name,
        rule,
        bytes: bytes(),
    })
    .collect()
}
