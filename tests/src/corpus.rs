//! Lists the corpus: objects, sources with their directives, hostile files.
//!
//! What the directives mean is told in `corpus/README.md`.

use std::path::{Path, PathBuf};

/// The folder `corpus/`.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

/// The files below `corpus/<folder>`, sorted; not those in its folders.
///
/// # Panics
/// If the folder cannot be read.
#[must_use]
pub fn files(folder: &str) -> Vec<PathBuf> {
    let entries = list(&root().join(folder));
    entries.into_iter().filter(|path| path.is_file()).collect()
}

/// The folders of objects, such as `gcc-x86_64`, sorted.
///
/// # Panics
/// If `corpus/dwarf` cannot be read.
#[must_use]
pub fn folders() -> Vec<String> {
    list(&root().join("dwarf"))
        .iter()
        .map(|path| name(path))
        .collect()
}

/// All objects, sorted by folder and name.
///
/// # Panics
/// If `corpus/dwarf` cannot be read.
#[must_use]
pub fn objects() -> Vec<PathBuf> {
    let folders = folders().into_iter();
    folders
        .flat_map(|folder| files(&format!("dwarf/{folder}")))
        .collect()
}

/// The last part of a path.
#[must_use]
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The values of a source's directive `//# <name>:`, for the source that `object` was made of; none for linked files.
#[must_use]
pub fn directive(object: &Path, directive: &str) -> Vec<String> {
    let name = name(object);
    let stem = name.split('.').next().unwrap_or_default();
    let source = ["c", "cpp", "rs"]
        .iter()
        .map(|extension| root().join(format!("src/{stem}.{extension}")))
        .find(|path| path.is_file());
    let text = source.and_then(|path| std::fs::read_to_string(path).ok());
    let prefix = format!("//# {directive}:");
    let lines: Vec<_> = text.iter().flat_map(|text| text.lines()).collect();
    let values = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
    values
        .flat_map(str::split_whitespace)
        .map(ToOwned::to_owned)
        .collect()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_belong_to_the_source_of_an_object() {
        let object = root().join("dwarf/gcc-x86_64/bitfields.dwarf2.o");
        assert_eq!(
            directive(&object, "variants"),
            ["dwarf2", "dwarf3", "dwarf4"]
        );
        assert!(directive(&object, "expect").contains(&"STRUCT:plain_bits".to_owned()));
        assert_eq!(
            directive(&root().join("dwarf/gcc-x86_64/image.elf"), "expect"),
            [""; 0]
        );
    }

    #[test]
    fn every_object_is_small_and_has_a_source_or_is_linked() {
        for object in objects() {
            let length = object.metadata().unwrap().len();
            assert!(length <= 64 * 1024, "{}: {length} bytes", object.display());
            let is_linked = ["image.", "lto."]
                .iter()
                .any(|stem| name(&object).starts_with(stem));
            assert!(
                is_linked || !directive(&object, "about").is_empty(),
                "{}",
                object.display()
            );
        }
    }
}
