//! Which objects take part: files in the order of the command line, and of archives the members that something needs.
//!
//! An archive is asked when its turn comes, as GNU ld does, for what the objects before it need; its members may need further
//! ones. At the end all archives are asked once more, so that their order does not matter.
#![deny(clippy::indexing_slicing)]

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use btf_core::{Error, ErrorKind, Result};
use object::read::archive::ArchiveFile;
use rayon::prelude::*;

use super::names::ByName;
use super::object::Object;
use super::read::read_needed;

/// A file that is given to the linker.
#[derive(Debug)]
pub struct File {
    /// What messages call it.
    pub name: String,
    /// Its contents, as far as a linker for BPF needs them.
    pub bytes: Vec<u8>,
    /// The members of a thin archive, which are files of their own.
    pub members: Vec<File>,
}

impl File {
    /// A file that is in memory.
    #[must_use]
    pub fn new(name: String, bytes: Vec<u8>) -> Self {
        let members = Vec::new();
        Self {
            name,
            bytes,
            members,
        }
    }

    /// Reads a file, and the members of a thin archive.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] with the system's reason; [`ErrorKind::Elf`] for an archive that cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let read = |path: &Path| {
            read_needed(path)
                .map_err(|error| Error::new(ErrorKind::Io("read the file")).caused_by(error))
        };
        let mut file = Self::new(path.display().to_string(), read(path)?);
        let Some(archive) = parse_archive(&file.bytes)? else {
            return Ok(file);
        };
        if archive.is_thin() {
            let folder = path.parent().unwrap_or(Path::new(""));
            let mut members = Vec::new();
            for member in archive.members() {
                let member = member.map_err(archive_error)?;
                let name = String::from_utf8_lossy(member.name()).into_owned();
                let bytes = read(&folder.join(&name))?;
                members.push(Self::new(name, bytes));
            }
            file.members = members;
        }
        Ok(file)
    }
}

/// The archive that `bytes` are, if they are one.
fn parse_archive(bytes: &[u8]) -> Result<Option<ArchiveFile<'_>>> {
    if !bytes.starts_with(b"!<arch>\n") && !bytes.starts_with(b"!<thin>\n") {
        return Ok(None);
    }
    check_members(bytes)?;
    ArchiveFile::parse(bytes).map(Some).map_err(archive_error)
}

/// Checks that each member is there as a whole: what is cut off at the first one, the table of symbols, would pass for empty.
fn check_members(bytes: &[u8]) -> Result<()> {
    /// The name, what nobody needs here, the size, and an end.
    const HEADER_LEN: usize = 60;
    let is_thin = bytes.starts_with(b"!<thin>");
    let mut at = 8;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let damaged = |expected: String| {
            let len = bytes.len();
            let text = format!("damaged archive of {len} bytes: expected {expected} at {at:#x}");
            Err(ErrorKind::Elf(text).into())
        };
        let header = rest.get(..HEADER_LEN);
        let size = header.and_then(|header| std::str::from_utf8(header.get(48..58)?).ok());
        let size = size.and_then(|size| size.trim_end().parse::<usize>().ok());
        let (Some(header), Some(size)) = (header, size) else {
            return damaged("the header of a member".to_owned());
        };
        // Members of a thin archive are elsewhere, but for the tables of symbols and of names.
        let is_here = !is_thin || matches!(header, [b'/', b' ' | b'/' | b'S', ..]);
        let size = if is_here { size } else { 0 };
        if rest.len() - HEADER_LEN < size {
            return damaged(format!("a member of {size} bytes"));
        }
        at += HEADER_LEN + size + size % 2;
    }
    Ok(())
}

fn archive_error(error: object::read::Error) -> Error {
    Error::new(ErrorKind::Elf("cannot read the archive".to_owned())).caused_by(error)
}

/// A file with what was found in it.
enum Found<'d> {
    Object(Box<Object<'d>>),
    /// Members that are not loaded yet; `None` for those that are.
    Archive(Vec<Option<Object<'d>>>),
}

/// An object that cannot be taken apart: its name, and why.
pub(crate) type Unreadable = (String, Error);

/// The objects that take part, in order.
///
/// # Errors
/// All files that cannot be read, with the reasons.
pub(crate) fn objects(files: &[File]) -> Result<Vec<Object<'_>>, Vec<Unreadable>> {
    let found: Vec<_> = files.par_iter().map(open).collect();
    let mut errors = Vec::new();
    let mut loader = Loader::default();
    let mut archives = Vec::new();
    for found in found {
        match found {
            Err(error) => errors.extend(error),
            Ok(Found::Object(object)) => loader.add(*object),
            Ok(Found::Archive(mut members)) => {
                loader.load(&mut members);
                archives.push(members);
            }
        }
    }
    loop {
        let before = loader.objects.len();
        for members in &mut archives {
            loader.load(members);
        }
        if loader.objects.len() == before {
            break;
        }
    }
    if errors.is_empty() {
        Ok(loader.objects)
    } else {
        Err(errors)
    }
}

/// Takes a file apart.
fn open(file: &File) -> Result<Found<'_>, Vec<Unreadable>> {
    let one = |name: &str, error| vec![(name.to_owned(), error)];
    let archive = parse_archive(&file.bytes).map_err(|error| one(&file.name, error))?;
    let Some(archive) = archive else {
        let object = Object::parse(file.name.clone(), &file.bytes)
            .map_err(|error| one(&file.name, error))?;
        return Ok(Found::Object(Box::new(object)));
    };
    let mut members: Vec<(String, &[u8])> = Vec::new();
    if archive.is_thin() {
        let named = file.members.iter();
        members.extend(named.map(|member| (member.name.clone(), &member.bytes[..])));
    } else {
        for member in archive.members() {
            let member = member.map_err(|error| one(&file.name, archive_error(error)))?;
            let name = String::from_utf8_lossy(member.name()).into_owned();
            let bytes = member.data(&file.bytes[..]);
            let bytes = bytes.map_err(|error| one(&file.name, archive_error(error)))?;
            members.push((name, bytes));
        }
    }
    // Archives may hold other things than objects, which nothing can need.
    members.retain(|(_, bytes)| btf_core::elf::is_elf(bytes));
    let (mut objects, mut errors) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let name = format!("{}({name})", file.name);
        match Object::parse(name.clone(), bytes) {
            Ok(object) => objects.push(Some(object)),
            Err(error) => errors.push((name, error)),
        }
    }
    if errors.is_empty() {
        Ok(Found::Archive(objects))
    } else {
        Err(errors)
    }
}

/// The objects so far, and what they need.
#[derive(Default)]
struct Loader<'d> {
    objects: Vec<Object<'d>>,
    defined: HashSet<&'d [u8]>,
    needed: HashSet<&'d [u8]>,
    /// What is needed, in the order in which it was first.
    order: Vec<&'d [u8]>,
}

impl<'d> Loader<'d> {
    fn add(&mut self, object: Object<'d>) {
        self.defined.extend(object.definitions());
        for name in object.needs() {
            if self.needed.insert(name) {
                self.order.push(name);
            }
        }
        self.objects.push(object);
    }

    /// Loads what is needed of an archive: pass after pass over the members, as linkers do.
    fn load(&mut self, members: &mut [Option<Object<'d>>]) {
        let mut defines: ByName<'_, usize> = ByName::default();
        for (index, member) in members.iter().enumerate() {
            for name in member.iter().flat_map(Object::definitions) {
                defines.entry(name).or_insert(index);
            }
        }
        let mut pending: BTreeSet<usize> = BTreeSet::new();
        let (mut seen, mut cursor) = (0, 0);
        loop {
            for name in self.order.iter().skip(seen) {
                pending.extend(defines.get(name).filter(|_| !self.defined.contains(name)));
            }
            seen = self.order.len();
            let Some(&next) = pending.range(cursor..).next().or(pending.first()) else {
                return;
            };
            pending.remove(&next);
            cursor = next + 1;
            let Some(slot) = members.get_mut(next) else {
                continue;
            };
            // Another member may have been loaded for the same name since.
            let is_needed = slot
                .iter()
                .flat_map(Object::definitions)
                .any(|name| !self.defined.contains(name) && self.needed.contains(name));
            if is_needed && let Some(member) = slot.take() {
                self.add(member);
            }
        }
    }
}
