//! Goal: the short way to read members, enumerators, parameters and pointers (`UnitReader::add_leaf`) says what the long
//! way (`UnitReader::open`) says.
//! Method: every linked file of the corpus is encoded in both ways, and every relocatable image; bytes, findings and numbers
//! are compared.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::features::FeatureSet;
use crate::input::Input;
use crate::options::Options;
use crate::report::Encoded;
use crate::unit::{LEAVES_READ, READS_LEAVES};
use crate::{Unobserved, encode};

fn files() -> Vec<PathBuf> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/dwarf");
    let mut files = Vec::new();
    for folder in std::fs::read_dir(corpus).unwrap() {
        let entries = std::fs::read_dir(folder.unwrap().path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        files.extend(paths.filter(|path| is_image(path)));
    }
    files.sort();
    files
}

fn is_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".elf") || name.ends_with(".relocatable.o")
}

fn encoded(path: &Path, features: &str, reads_leaves: bool) -> Encoded {
    READS_LEAVES.store(reads_leaves, Ordering::Relaxed);
    let options = Options {
        features: FeatureSet::parse(features).unwrap(),
        ..Options::default()
    };
    let input = Input::open(path).unwrap();
    let encoded = encode(&input.image().unwrap(), None, &options, &Unobserved);
    READS_LEAVES.store(true, Ordering::Relaxed);
    encoded.unwrap()
}

#[test]
fn both_ways_to_read_a_leaf_say_the_same() {
    let files = files();
    assert!(files.len() >= 5, "{files:?}");
    for path in &files {
        for features in ["default", "all", "none"] {
            let before = LEAVES_READ.load(Ordering::Relaxed);
            let short = encoded(path, features, true);
            let after = LEAVES_READ.load(Ordering::Relaxed);
            assert!(after > before, "no leaf in {}", path.display());
            let long = encoded(path, features, false);
            let name = format!("{} with {features}", path.display());
            assert!(short.btf == long.btf, "{name}");
            assert_eq!(short.findings, long.findings, "{name}");
            assert_eq!(short.summary, long.summary, "{name}");
        }
    }
}
