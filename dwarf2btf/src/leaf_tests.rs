//! Goal: the short way to read members, enumerators, parameters and pointers (`UnitReader::add_leaf`) says what the long
//! way (`UnitReader::open`) says.
//! Method: every linked file of the corpus is encoded in both ways, and every relocatable image; bytes, findings and numbers
//! are compared. So is what becomes of small objects in whose DWARF a few bytes were changed: errors too.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use btf_core::Result;

use crate::features::FeatureSet;
use crate::input::Image;
use crate::options::Options;
use crate::report::Encoded;
use crate::unit::{LEAVES_READ, READS_LEAVES};
use crate::{Unobserved, encode};

/// Held by who chooses the way, which is one for all threads.
static CHOOSING: Mutex<()> = Mutex::new(());

/// The files of the corpus that are wanted.
fn files(is_wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/dwarf");
    let mut files = Vec::new();
    for folder in std::fs::read_dir(corpus).unwrap() {
        let entries = std::fs::read_dir(folder.unwrap().path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        files.extend(paths.filter(|path| is_wanted(path)));
    }
    files.sort();
    files
}

fn is_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".elf") || name.ends_with(".relocatable.o")
}

fn is_small_object(path: &Path) -> bool {
    let len = path.metadata().map_or(u64::MAX, |metadata| metadata.len());
    path.extension().is_some_and(|extension| extension == "o") && len < 4200
}

fn encoded(bytes: &[u8], features: &str, reads_leaves: bool) -> Result<Encoded> {
    READS_LEAVES.store(reads_leaves, Ordering::Relaxed);
    let options = Options {
        features: FeatureSet::parse(features).unwrap(),
        ..Options::default()
    };
    let encoded = Image::parse(bytes).and_then(|image| encode(&image, None, &options, &Unobserved));
    READS_LEAVES.store(true, Ordering::Relaxed);
    encoded
}

#[test]
fn both_ways_to_read_a_leaf_say_the_same() {
    let _choosing = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
    let files = files(is_image);
    assert!(files.len() >= 5, "{files:?}");
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        for features in ["default", "all", "none"] {
            let before = LEAVES_READ.load(Ordering::Relaxed);
            let short = encoded(&bytes, features, true).unwrap();
            let after = LEAVES_READ.load(Ordering::Relaxed);
            assert!(after > before, "no leaf in {}", path.display());
            let long = encoded(&bytes, features, false).unwrap();
            let name = format!("{} with {features}", path.display());
            assert!(short.btf == long.btf, "{name}");
            assert_eq!(short.findings, long.findings, "{name}");
            assert_eq!(short.summary, long.summary, "{name}");
        }
    }
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Changes bytes of DIEs: one by itself, or some to what stands elsewhere among them.
fn change(dies: &mut [u8], numbers: &mut Numbers) {
    let at = numbers.below(dies.len());
    match numbers.below(3) {
        0 => dies[at] = numbers.below(256).to_le_bytes()[0],
        1 => dies[at] ^= 1 << numbers.below(8),
        _ => {
            let from = numbers.below(dies.len());
            let len = 1 + numbers.below(dies.len() - from.max(at)).min(29);
            dies.copy_within(from..from + len, at);
        }
    }
}

#[test]
fn both_ways_to_read_a_leaf_say_the_same_of_malformed_files() {
    let _choosing = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
    let files = files(is_small_object);
    assert!(files.len() >= 20, "{files:?}");
    let (mut encoded_count, mut refused_count) = (0, 0);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        let image = Image::parse(&bytes).unwrap();
        let section = image.section_by_name(".debug_info").unwrap();
        let range = section.file_range.clone().unwrap();
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let dies = at(range.start)..at(range.end);
        for round in 0..200 {
            let mut changed = bytes.clone();
            for _ in 0..[1, 1, 2, 5][round % 4] {
                change(&mut changed[dies.clone()], &mut numbers);
            }
            let name = format!("{}, round {round}", path.display());
            let short = encoded(&changed, "all", true);
            let long = encoded(&changed, "all", false);
            match (short, long) {
                (Ok(short), Ok(long)) => {
                    assert!(short.btf == long.btf, "{name}");
                    assert_eq!(short.findings, long.findings, "{name}");
                    assert_eq!(short.summary, long.summary, "{name}");
                    encoded_count += 1;
                }
                (Err(short), Err(long)) => {
                    assert_eq!(short.to_string(), long.to_string(), "{name}");
                    refused_count += 1;
                }
                (short, long) => {
                    let (short, long) = (short.err(), long.err());
                    panic!("{name}: the short way {short:?}, the long way {long:?}");
                }
            }
        }
    }
    assert!(
        encoded_count > 1000 && refused_count > 1000,
        "{encoded_count}, {refused_count}"
    );
}
