//! Reads the BTF sections of a file, of standard input, or of every file below a folder.
//!
//! Of an ELF file no more than the section headers and the BTF sections are read.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::distill::is_distilled;
use crate::reader::{Btf, Memory, Parts};
use crate::wire::{ByteOrder, HEADER_LEN_LAYOUT, Header};
use crate::{ErrorKind, elf};
use object::read::{ReadCache, ReadRef};
use rayon::prelude::*;

use super::super::output;
use super::packed::{Packed, Packer};
use super::{Error, STDIN, bases, blobs};

/// The bytes of a file that matter here.
#[derive(Debug)]
pub(super) struct Contents {
    /// Raw BTF, or the section `.BTF`.
    pub(super) btf: Vec<u8>,
    /// The section `.BTF.base`, or the file beside raw BTF.
    pub(super) base: Option<Vec<u8>>,
    /// The file beside raw BTF, if the base is from there.
    pub(super) base_path: Option<PathBuf>,
    /// The section `.BTF.ext`.
    pub(super) ext: Option<Vec<u8>>,
    /// The size of a pointer in bytes, if this is an ELF file.
    pub(super) pointer_size: Option<u8>,
}

/// The size of a file in bytes, and when it was changed.
pub(super) type Stamp = (u64, Option<SystemTime>);

/// As many bytes as it takes to know what a file is.
const START_LEN: usize = 8;

/// Checks that what is to be read names standard input no more than once, as it can be read once only.
///
/// # Errors
/// If it does.
pub fn check_stdin<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Result<(), Error> {
    let paths = paths.into_iter();
    match paths.filter(|path| *path == Path::new(STDIN)).nth(1) {
        Some(_) => Err(Error::stdin_twice()),
        None => Ok(()),
    }
}

/// [`check_stdin`] for files and their base.
pub(super) fn check_named(paths: &[PathBuf], base: Option<&Path>) -> Result<(), Error> {
    let base = base.map(Path::to_owned);
    check_stdin(paths.iter().chain(&base))
}

/// The file itself, or every file with BTF below a folder, in the order of their paths.
pub(super) fn find(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let before = found.len();
    let below = below(path)?.into_iter();
    found.extend(below.filter(|path| has_btf(path) && !is_base_beside(path)));
    if found.len() == before {
        let packed = Packed::find([path]).hint();
        return Err(Error::empty_folder(path, packed.as_deref()));
    }
    Ok(())
}

/// Every file below a folder, in the order of their paths.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    // Paths are taken from the end.
    let mut todo = list(folder)?;
    while let Some(path) = todo.pop() {
        let kind = path.symlink_metadata().map(|metadata| metadata.file_type());
        // A link to a folder may lead back to where it is.
        if kind.is_ok_and(|kind| kind.is_dir()) {
            todo.extend(list(&path)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// What is in a folder, in descending order.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| {
        let error = crate::Error::new(ErrorKind::Io("read the folder")).caused_by(error);
        Error::reading(folder.display().to_string(), error)
    };
    let entries = folder.read_dir().map_err(failed)?;
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

/// Whether a file of a folder holds BTF, or might, as far as that can be told without reading it.
fn has_btf(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else {
        // Reading it will tell why.
        return true;
    };
    match start_of(&mut file) {
        Ok(start) if elf::is_elf(&start) => {
            let cache = ReadCache::new(file);
            // Of one that is damaged nobody knows what it held: reading it tells what is wrong.
            elf::places(&cache).map_or(true, |places| places.btf.is_some())
        }
        Ok(start) => ByteOrder::of_magic(&start).is_some(),
        Err(_) => true,
    }
}

/// Reads a file.
pub(super) fn read(path: &Path) -> crate::Result<Contents> {
    let failed = |what| move |error| crate::Error::new(ErrorKind::Io(what)).caused_by(error);
    if path == Path::new(STDIN) {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(failed("read standard input"))?;
        return parse(bytes);
    }
    let mut file = File::open(path).map_err(failed("open the file"))?;
    let metadata = file.metadata().map_err(failed("read the file"))?;
    let mut bytes = Vec::new();
    if metadata.is_file() {
        let start = start_of(&mut file).map_err(failed("read the file"))?;
        if elf::is_elf(&start) {
            return read_sections(&file, metadata.len());
        }
        // Whatever else this is, it is not read as a whole.
        check_start(&start)?;
    }
    file.read_to_end(&mut bytes)
        .map_err(failed("read the file"))?;
    let mut contents = parse(bytes)?;
    if contents.base.is_none() && metadata.is_file() && bases::is_split(&contents.btf) {
        let beside = base_beside(path, &contents.btf);
        (contents.base_path, contents.base) = beside.unzip();
    }
    Ok(contents)
}

/// The distilled base beside raw split BTF, if there is one and it is that: a file of that name may be left from something else.
fn base_beside(path: &Path, split: &[u8]) -> Option<(PathBuf, Vec<u8>)> {
    let path = output::base_path(path);
    let (mut file, _) = open_regular(&path)?;
    let start = start_of(&mut file).ok()?;
    ByteOrder::of_magic(&start)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let base = Btf::parse(&bytes, None).ok().filter(is_distilled)?;
    let split = Btf::parse(split, Some(base.into())).ok()?;
    bases::fit(&split).ok()?;
    Some((path, bytes))
}

/// Whether a file in a folder is only the base of raw split BTF beside it.
fn is_base_beside(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "base")
        && first_string_byte(&path.with_extension("")).is_some_and(|byte| byte != 0)
}

/// Opens a regular file. Something else, say a pipe, is not opened: that might wait for ever, and what it says may be read once only.
fn open_regular(path: &Path) -> Option<(File, Metadata)> {
    let metadata = path.metadata().ok().filter(Metadata::is_file)?;
    Some((File::open(path).ok()?, metadata))
}

/// Reads the BTF of a regular file, if it is one that stands alone, into memory that was used before, and tells what the file was
/// like; `None` if it cannot be read for whatever reason.
pub(super) fn read_again(path: &Path, memory: &mut Memory) -> Option<(Stamp, Btf)> {
    let (file, metadata) = open_regular(path)?;
    let stamp = (metadata.len(), metadata.modified().ok());
    if let Some(plain) = Plain::of(&file, stamp.0) {
        return Some((stamp, plain.read(&file, memory)?));
    }
    read_whole(file, stamp.0, &mut memory.bytes)?;
    let bytes = &memory.bytes;
    if bases::is_split(bytes) || blobs::parts(bytes, blobs::end_of_btf).len() != 1 {
        return None;
    }
    blobs::check_end(bytes).ok()?;
    Some((stamp, Btf::parse_again(memory).ok()?))
}

/// Reads the BTF of a file of this length; `None` if it has a base beside the BTF, or cannot be read.
fn read_whole(file: File, len: u64, into: &mut Vec<u8>) -> Option<()> {
    let mut start = [0; START_LEN];
    file.read_exact_at(&mut start, 0).ok()?;
    if elf::is_elf(&start) {
        let cache = ReadCache::new(file);
        let sections = elf::sections(&cache).ok()?;
        let btf = sections.btf.filter(|_| sections.base.is_none())?;
        into.clear();
        into.extend_from_slice(btf);
        return Some(());
    }
    ByteOrder::of_magic(&start)?;
    // What was there before is overwritten, not cleared. No BTF is longer than its offsets of 32 bits reach.
    into.resize(u32::try_from(len).ok()? as usize, 0);
    file.read_exact_at(into, 0).ok()
}

/// The first bytes of a file; it then stands at its start again.
pub(super) fn start_of(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.by_ref()
        .take(START_LEN as u64)
        .read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start)
}

/// The first byte of the strings of raw BTF; `None` for whatever is not so simple.
pub(super) fn first_string_byte(path: &Path) -> Option<u8> {
    let (mut file, _) = open_regular(path)?;
    let mut header = Vec::new();
    file.by_ref()
        .take(HEADER_LEN_LAYOUT.into())
        .read_to_end(&mut header)
        .ok()?;
    let (_, header) = Header::parse(&header).ok()?;
    let start = u64::from(header.hdr_len) + u64::from(header.str_off);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut byte = [0];
    file.read_exact(&mut byte).ok()?;
    (header.str_len > 0).then_some(byte[0])
}

/// How many bytes of types are read at once: few enough for the processor's cache.
const PIECE: usize = 64 << 10;

/// Raw BTF that stands alone, with strings right behind the types and nothing behind those, as kernels have it. It is read
/// without a copy of the whole. `None` for whatever is not so simple, and for what is wrong with it.
pub(super) fn read_plain(path: &Path) -> Option<Btf> {
    if path == Path::new(STDIN) {
        return None;
    }
    let (file, metadata) = open_regular(path)?;
    let plain = Plain::of(&file, metadata.len())?;
    let types = plain.types();
    let mut strings = vec![0; plain.header.str_len as usize];
    let (words, read) = rayon::join(
        || read_words(&file, plain.order, types.clone()),
        || file.read_exact_at(&mut strings, types.end),
    );
    read.ok()?;
    plain.btf(words?, strings, Vec::new())
}

/// The header of raw BTF with strings right behind the types and nothing behind those.
struct Plain {
    order: ByteOrder,
    header: Header,
    blob_len: u64,
}

impl Plain {
    /// The header of a file of this length, if that is so simple.
    fn of(file: &File, len: u64) -> Option<Self> {
        let mut start = [0; HEADER_LEN_LAYOUT as usize];
        let start_len = len.min(HEADER_LEN_LAYOUT.into());
        let start = start.get_mut(..usize::try_from(start_len).ok()?)?;
        file.read_exact_at(start, 0).ok()?;
        let (order, header) = Header::parse(start).ok()?;
        let lengths = [header.hdr_len, header.type_len, header.str_len];
        let blob_len = lengths.map(u64::from).iter().sum();
        let is_simple = header.hdr_len <= HEADER_LEN_LAYOUT
            && header.type_off == 0
            && header.type_len.is_multiple_of(4)
            && header.str_off == header.type_len
            && header.layout_len == 0
            && len == blob_len;
        is_simple.then_some(Self {
            order,
            header,
            blob_len,
        })
    }

    /// Where the types are in the file.
    fn types(&self) -> Range<u64> {
        let start = u64::from(self.header.hdr_len);
        start..start + u64::from(self.header.type_len)
    }

    /// Reads it on this thread; strings are read to where they stay.
    fn read(self, file: &File, memory: &mut Memory) -> Option<Btf> {
        let types = self.types();
        // What was there before is overwritten, not cleared.
        let mut words = std::mem::take(&mut memory.words);
        words.resize(self.header.type_len as usize / 4, 0);
        read_words_at(file, self.order, types.start, &mut words)?;
        let mut strings = std::mem::take(&mut memory.strings);
        strings.resize(self.header.str_len as usize, 0);
        file.read_exact_at(&mut strings, types.end).ok()?;
        self.btf(words, strings, std::mem::take(&mut memory.starts))
    }

    /// Makes BTF of what was read, if it stands alone; `starts` is memory that was used before.
    fn btf(self, words: Vec<u32>, strings: Vec<u8>, starts: Vec<u32>) -> Option<Btf> {
        let is_whole = strings.first() == Some(&0);
        let parts = Parts {
            order: self.order,
            header: self.header,
            blob_len: self.blob_len,
            base: None,
            words,
            strings,
            layout: None,
        };
        is_whole.then(|| Btf::from_parts_with(parts, starts).ok())?
    }
}

/// Reads a part of a file, whose length is a multiple of 4, as words.
fn read_words(file: &File, order: ByteOrder, part: Range<u64>) -> Option<Vec<u32>> {
    let len = part.end.checked_sub(part.start)? / 4;
    let mut words = vec![0; usize::try_from(len).ok()?];
    let starts = part.step_by(PIECE).collect::<Vec<_>>();
    let pieces = words.par_chunks_mut(PIECE / 4).zip(starts);
    pieces.try_for_each(|(words, start)| read_words_at(file, order, start, words))?;
    Some(words)
}

/// Reads as many words as there is room for, from an offset in bytes.
fn read_words_at(file: &File, order: ByteOrder, start: u64, words: &mut [u32]) -> Option<()> {
    file.read_exact_at(elf::as_bytes_mut(words), start).ok()?;
    if order != ByteOrder::NATIVE {
        for word in words {
            *word = word.swap_bytes();
        }
    }
    Some(())
}

/// Takes the bytes of a whole file.
fn parse(bytes: Vec<u8>) -> crate::Result<Contents> {
    if elf::is_elf(&bytes) {
        return sections(bytes.as_slice());
    }
    check_start(&bytes)?;
    Ok(Contents {
        btf: bytes,
        base: None,
        base_path: None,
        ext: None,
        pointer_size: None,
    })
}

/// Refuses what is neither ELF nor BTF.
fn check_start(start: &[u8]) -> crate::Result<()> {
    if let Some(packer) = Packer::of_start(start) {
        let text = format!("a file that {} has packed; unpack it first", packer.name);
        return Err(ErrorKind::Unsupported(text).into());
    }
    match start {
        &[first, second, ..] if ByteOrder::of_magic(start).is_none() => {
            Err(ErrorKind::Magic(u16::from_le_bytes([first, second])).into())
        }
        // Too short is the reader's concern.
        _ => Ok(()),
    }
}

/// Reads the sections of an ELF file, each once and into its own place, as kernels have much of them.
fn read_sections(file: &File, file_len: u64) -> crate::Result<Contents> {
    let places = elf::places(&ReadCache::new(file))?;
    let read = |place: Range<u64>| {
        let len = place.end.saturating_sub(place.start);
        if place.end > file_len {
            return Err(elf::out_of_file(&place, Ok(file_len)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        let mut file = file;
        let read = file.seek(SeekFrom::Start(place.start));
        let read = read.and_then(|_| file.take(len).read_to_end(&mut bytes));
        read.map_err(|error| crate::Error::new(ErrorKind::Io("read the file")).caused_by(error))?;
        Ok(bytes)
    };
    let Some(btf) = places.btf else {
        return Err(no_btf());
    };
    Ok(Contents {
        btf: read(btf)?,
        base: places.base.map(read).transpose()?,
        base_path: None,
        ext: places.ext.map(read).transpose()?,
        pointer_size: Some(places.pointer_size),
    })
}

fn no_btf() -> crate::Error {
    ErrorKind::Elf("no section `.BTF`".to_owned()).into()
}

/// Takes the sections of an ELF file.
fn sections<'a>(file: impl ReadRef<'a>) -> crate::Result<Contents> {
    let sections = elf::sections(file)?;
    let Some(btf) = sections.btf else {
        return Err(no_btf());
    };
    Ok(Contents {
        btf: btf.to_vec(),
        base: sections.base.map(<[u8]>::to_vec),
        base_path: None,
        ext: sections.ext.map(<[u8]>::to_vec),
        pointer_size: Some(sections.pointer_size),
    })
}
