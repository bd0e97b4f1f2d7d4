//! Finds what split BTF continues, and tells whether it fits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::reader::Btf;
use crate::types::{name_refs, type_refs};
use crate::wire::Header;
use crate::{Error as BtfError, ErrorKind};

use super::{Error, Part, RUNNING_KERNEL, files};

/// Where the image of a kernel may be, from each folder above a module: that of a build or of an installed kernel.
const IMAGES: [&str; 2] = ["vmlinux", "build/vmlinux"];

/// What split BTF may continue.
pub(super) struct Bases {
    /// What the caller names.
    named: Option<(PathBuf, Arc<Btf>)>,
    /// Those of the files that stand alone.
    offered: Vec<(PathBuf, Arc<Btf>)>,
    /// Files that have been looked at; those without BTF are `None`.
    read: HashMap<PathBuf, Option<Arc<Btf>>>,
}

impl Bases {
    /// Reads the base that the caller names, which may itself be split BTF.
    pub(super) fn new(named: Option<&Path>) -> Result<Self, Error> {
        let mut bases = Self {
            named: None,
            offered: Vec::new(),
            read: HashMap::new(),
        };
        if let Some(path) = named {
            bases.named = Some((path.to_owned(), super::open_one(path, None)?.btf));
        }
        Ok(bases)
    }

    /// The base that the caller names.
    pub(super) fn named(&self) -> Option<(&Path, &Arc<Btf>)> {
        let (path, btf) = self.named.as_ref()?;
        Some((path, btf))
    }

    /// Whether the caller names this file as the base.
    pub(super) fn is_named(&self, path: &Path) -> bool {
        let same = |named: &PathBuf| {
            named == path
                || named
                    .canonicalize()
                    .is_ok_and(|named| path.canonicalize().is_ok_and(|path| path == named))
        };
        self.named.as_ref().is_some_and(|(named, _)| same(named))
    }

    /// Adds one of the files; one that holds several blobs is no base.
    pub(super) fn offer(&mut self, path: &Path, part: Option<Part>, btf: &Arc<Btf>) {
        if part.is_none() {
            self.offered.push((path.to_owned(), btf.clone()));
        }
    }

    /// Whether a blob must be joined with a base.
    ///
    /// The strings of split BTF do not start with the empty one, but for what nobody writes; so if the caller names a base,
    /// what starts with it is tried by itself.
    pub(super) fn wants(&self, blob: &[u8]) -> bool {
        is_split(blob)
            || self.named.is_some() && Btf::parse(blob, None).is_ok_and(|btf| fit(&btf).is_err())
    }

    /// Reads split BTF with the base that fits, and tells where that is. `path` is the file, `what` is for errors.
    pub(super) fn join(
        &mut self,
        path: &Path,
        what: &str,
        blob: &[u8],
    ) -> Result<(Btf, PathBuf), Error> {
        let parse = |base: &Arc<Btf>| {
            let btf = Btf::parse(blob, Some(base.clone()));
            btf.map_err(|error| Error::reading(what.to_owned(), error))
        };
        if let Some((base_path, base)) = &self.named {
            let btf = parse(base)?;
            let fits = fit(&btf).map_err(|error| Error::wrong_base(what, base_path, error));
            return fits.map(|()| (btf, base_path.clone()));
        }
        let mut misfits = Vec::new();
        for (base_path, base) in &self.offered {
            let btf = parse(base)?;
            if fit(&btf).is_ok() {
                return Ok((btf, base_path.clone()));
            }
            misfits.push(base_path.display().to_string());
        }
        for base_path in candidates(path) {
            let Some(base) = self.read(&base_path) else {
                continue;
            };
            let btf = parse(&base)?;
            if fit(&btf).is_ok() {
                return Ok((btf, base_path));
            }
            misfits.push(base_path.display().to_string());
        }
        misfits.dedup();
        Err(Error::no_base(what, &misfits))
    }

    /// The base that fits a blob, or the one that is named, and where it is; if there is none, the files that do not fit.
    pub(super) fn find(
        &mut self,
        path: &Path,
        blob: &[u8],
    ) -> Result<(Arc<Btf>, PathBuf), Vec<String>> {
        if let Some((base_path, base)) = &self.named {
            return Ok((base.clone(), base_path.clone()));
        }
        let mut misfits = Vec::new();
        let fits = |base: &Arc<Btf>| {
            let btf = Btf::parse(blob, Some(base.clone()));
            btf.is_ok_and(|btf| fit(&btf).is_ok())
        };
        for (base_path, base) in &self.offered {
            if fits(base) {
                return Ok((base.clone(), base_path.clone()));
            }
            misfits.push(base_path.display().to_string());
        }
        for base_path in candidates(path) {
            match self.read(&base_path) {
                Some(base) if fits(&base) => return Ok((base, base_path)),
                Some(_) => misfits.push(base_path.display().to_string()),
                None => {}
            }
        }
        misfits.dedup();
        Err(misfits)
    }

    /// Reads a file that may be a base, once.
    fn read(&mut self, path: &Path) -> Option<Arc<Btf>> {
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let btf = path.is_file().then(|| files::read(path).ok()).flatten();
        let btf = btf.and_then(|contents| Btf::parse(&contents.btf, None).ok());
        let btf = btf.map(Arc::new);
        self.read.insert(path.to_owned(), btf.clone());
        btf
    }
}

/// Where the kernel of a module may be.
fn candidates(module: &Path) -> impl Iterator<Item = PathBuf> {
    let folders = module.ancestors().skip(1);
    let images = folders.flat_map(|folder| IMAGES.map(|image| folder.join(image)));
    let images = images.filter(move |image| image != module);
    images.chain([PathBuf::from(RUNNING_KERNEL)])
}

/// Whether the strings of a blob do not start with the empty one, so that they must continue others.
pub(super) fn is_split(blob: &[u8]) -> bool {
    strings_of(blob).is_some_and(|strings| strings.first() != Some(&0))
}

/// The string section of a blob, as far as it is there.
fn strings_of(blob: &[u8]) -> Option<&[u8]> {
    let (_, header) = Header::parse(blob).ok()?;
    let start = u64::from(header.hdr_len) + u64::from(header.str_off);
    let strings = blob.get(usize::try_from(start).ok()?..)?;
    Some(strings.get(..header.str_len as usize).unwrap_or(strings))
}

/// Checks that BTF continues the base that it was read with.
///
/// With a wrong one, ids and names are off by some number. So some are beyond the end, or most names, which are about 17
/// bytes long in kernels, start in the middle of one. A few may do so anyway: the format allows to share the ends of strings.
/// Own strings that nothing uses tell the same of BTF with few names.
pub(super) fn fit(btf: &Btf) -> crate::Result<()> {
    let (mut names, mut inside) = (0u64, 0u64);
    let mut uses_own = btf.base().is_none() || btf.string_bytes().is_empty();
    let mut first_inside = None;
    for (id, record) in btf.records() {
        if let Some((_, ty)) = type_refs(record).find(|(_, ty)| ty.0 >= btf.end_id()) {
            return Err(BtfError::new(ErrorKind::TypeIdOutOfRange(ty)).in_type(id));
        }
        for (_, name) in name_refs(record) {
            if name.0 >= btf.end_string() {
                return Err(BtfError::new(ErrorKind::StringOutOfRange(name.0)).in_type(id));
            }
            let is_inside = btf.is_inside_of_string(name);
            uses_own |= name.0 >= btf.first_string();
            names += u64::from(name.0 != 0);
            inside += u64::from(is_inside);
            if is_inside {
                first_inside.get_or_insert((id, name));
            }
        }
    }
    if !uses_own {
        return Err(ErrorKind::Malformed("a name among the own strings").into());
    }
    match first_inside {
        Some((id, name)) if inside * 2 > names => {
            let (what, value) = ("name, which starts inside another one", name.0.into());
            Err(BtfError::new(ErrorKind::Invalid { what, value }).in_type(id))
        }
        _ => Ok(()),
    }
}
