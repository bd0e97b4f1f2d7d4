//! Goal: a link called `pahole` does what the kernel's scripts of 5.15 to 7.2 expect of pahole 1.32.
//! Method: each command line of those scripts on small files, its effect, and the same by pahole itself, compared by meaning
//! (`builds`); what is answered to slips beside what pahole was seen to answer (`slips`); what single options do (`options`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod builds;
mod options;
mod slips;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use btf_core::reader::Btf;
use btf_tests::compare::{Comparison, Scope, print_text};
use btf_tests::program::{Outcome, TestDir, ours, run};
use btf_tests::{corpus, input};

/// What `LIST` stands for in command lines: the features that kernels ask for since 6.10.
pub(crate) const LIST: &str = "--btf_features=encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func,decl_tag_kfuncs";

/// Small files that together show every feature, the last one linked like a kernel.
pub(crate) const OBJECTS: [&str; 4] = ["numbers.o", "enums.o", "tags.o", "image.elf"];

/// A folder with a link `pahole` to our program, and copies of [`OBJECTS`].
pub(crate) struct Place {
    pub(crate) dir: TestDir,
    pub(crate) pahole: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = TestDir::new();
        for name in OBJECTS {
            let bytes = std::fs::read(object(name)).unwrap();
            dir.write(name, &bytes);
        }
        let pahole = dir.path("pahole");
        symlink(ours("dwarf2btf"), &pahole).unwrap();
        Self { dir, pahole }
    }

    /// The line with `LIST` and the names in capitals replaced, as words.
    pub(crate) fn words(&self, line: &str) -> Vec<String> {
        let path = |name| self.dir.path(name).display().to_string();
        let replaced = |word: &str| {
            let (head, name) = word.split_at(word.find('=').map_or(0, |equals| equals + 1));
            let name = match name {
                "LIST" => LIST.to_owned(),
                "FILE" => path("enums.o"),
                "OTHER" => path("numbers.o"),
                "OUT" => path("out.btf"),
                "MISSING" => path("missing"),
                "NOWHERE" => path("missing/out.btf"),
                "FOLDER" => path(""),
                "TEXT" => path("text"),
                "CUT" => path("cut.o"),
                "NO_DWARF" => path("no_dwarf"),
                name => name.to_owned(),
            };
            format!("{head}{name}")
        };
        line.split_whitespace().map(replaced).collect()
    }

    pub(crate) fn run(&self, line: &str) -> Outcome {
        run(&self.pahole, self.words(line))
    }

    /// The BTF in `out.btf`, which is then removed: pahole ends with 0 even if it writes none.
    pub(crate) fn take_output(&self, base: Option<&Arc<Btf>>) -> Arc<Btf> {
        let btf = self.btf("out.btf", base);
        std::fs::remove_file(self.dir.path("out.btf")).unwrap();
        btf
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path(name)).unwrap()
    }

    pub(crate) fn btf(&self, name: &str, base: Option<&Arc<Btf>>) -> Arc<Btf> {
        input::read_btf(&self.dir.path(name), base.cloned()).unwrap()
    }

    /// The name of a section's contents in a file, if it is there.
    pub(crate) fn section(&self, file: &str, name: &str) -> Option<Vec<u8>> {
        use object::{Object as _, ObjectSection as _};
        let bytes = self.bytes(file);
        let elf = object::File::parse(&*bytes).unwrap();
        let section = elf.section_by_name(name)?;
        Some(section.data().unwrap().to_vec())
    }
}

pub(crate) fn object(name: &str) -> PathBuf {
    corpus::root().join("dwarf/gcc-x86_64").join(name)
}

/// What two BTF files do not have in common, if anything.
pub(crate) fn difference(ours: &Arc<Btf>, theirs: &Arc<Btf>) -> Option<String> {
    let comparison = Comparison::new(ours, theirs, Scope::All).unwrap();
    if comparison.is_equal(true) {
        return None;
    }
    let mut text = Vec::new();
    print_text(&mut text, &comparison, 10, false).unwrap();
    Some(String::from_utf8(text).unwrap())
}
