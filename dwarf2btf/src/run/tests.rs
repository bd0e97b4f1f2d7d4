//! Goal: a run whose input or base somebody writes to meanwhile ends with an error that names that file.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use btf_core::wire::Header;
use dwarf2btf::Unobserved;
use tempfile::TempDir;

use super::*;

/// A module and its base.
struct Files {
    folder: TempDir,
    base: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let object = |name| {
            let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/dwarf/gcc-x86_64/");
            Path::new(corpus).join(name)
        };
        fs::copy(object("homonyms_b.o"), folder.path().join("module")).unwrap();
        let kernel = Input::open(&object("homonyms_a.o")).unwrap();
        let image = kernel.image().unwrap();
        let encoded = encode(&image, None, &Options::default(), &Unobserved).unwrap();
        Self {
            folder,
            base: encoded.btf,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the base as it should be, long ago, and opens both.
    fn open(&self) -> (Input, MappedBase) {
        fs::write(self.path("base"), &self.base).unwrap();
        for name in ["base", "module"] {
            let file = fs::File::options().write(true).open(self.path(name));
            let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
            file.unwrap().set_modified(long_ago).unwrap();
        }
        let base = MappedBase::open(&self.path("base")).unwrap();
        (Input::open(&self.path("module")).unwrap(), base)
    }

    /// Writes into a file that is open.
    fn write(&self, name: &str, bytes: &[u8], at: usize) {
        let file = fs::File::options().write(true).open(self.path(name));
        file.unwrap().write_all_at(bytes, at as u64).unwrap();
    }

    /// What is said of the file of this name that changed.
    fn changed(&self, name: &str) -> String {
        let path = self.path(name);
        format!("{}: the file changed while it was read", path.display())
    }
}

#[test]
fn a_base_that_changes_while_it_is_borrowed_is_named() {
    let files = Files::new();
    let (_, header) = Header::parse(&files.base).unwrap();
    let types = header.hdr_len as usize + header.type_off as usize;
    let strings = header.hdr_len as usize + header.str_off as usize;
    let names: Vec<&[u8]> = files.base[strings..]
        .split_inclusive(|&byte| byte == 0)
        .collect();
    let mut failed = 0;
    let rounds = [0_u8, b'a', 0xff].map(|byte| vec![byte; files.base.len() - types]);
    // Names that are there twice lead to a look at all types, of which none makes sense.
    let twice = names.iter().filter(|name| name.len() > 4).map(|name| {
        let len = strings - types;
        let mut bytes = vec![0xff; len];
        bytes.extend(name.iter().cycle().take(header.str_len as usize));
        bytes
    });
    for bytes in rounds.into_iter().chain(twice) {
        let (input, base) = files.open();
        let image = input.image().unwrap();
        let options = Options::default();
        files.write("base", &bytes, types);
        failed += u32::from(encode(&image, Some(&base.base), &options, &Unobserved).is_err());
        let (_, base) = files.open();
        files.write("base", &bytes, types);
        let encoded = encode_opened(&image, &input, Some(&base), &options, &Unobserved);
        let said = format!("{:#}", encoded.unwrap_err());
        assert_eq!(said, files.changed("base"));
    }
    assert!(failed > 0, "nothing led to an error of another kind");
}

#[test]
fn an_input_that_changes_is_named_whatever_came_of_it() {
    let files = Files::new();
    let (input, base) = files.open();
    let image = input.image().unwrap();
    let section = image.section_by_name(".debug_info").unwrap();
    let range = section.file_range.clone().unwrap();
    let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
    let len = end.unwrap() - start.unwrap();
    files.write("module", &vec![0xff; len], start.unwrap());
    assert!(encode(&image, None, &Options::default(), &Unobserved).is_err());
    let encoded = encode_opened(
        &image,
        &input,
        Some(&base),
        &Options::default(),
        &Unobserved,
    );
    let said = format!("{:#}", encoded.unwrap_err());
    assert_eq!(said, files.changed("module"));
}

#[test]
fn an_error_names_the_file_that_it_is_about() {
    let files = Files::new();
    let (input, base) = files.open();
    let said = |kind: ErrorKind| {
        let error = btf_core::Error::new(kind).caused_by(btf_core::Error::new(ErrorKind::Cycle));
        format!("{:#}", explained(error, &input, Some(&base)))
    };
    let path = |name| files.path(name).display().to_string();
    assert!(said(ErrorKind::UnusableBase).starts_with(&format!("{}: not usable", path("base"))));
    assert!(said(ErrorKind::NoDebugInfo).starts_with(&format!("{}: no debug", path("module"))));
}
