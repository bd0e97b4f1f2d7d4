//! The bytes of BTF that may be broken, for whoever wants to know what is wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::reader::Btf;

use super::bases::Bases;
use super::files::{self, Contents, check_named};
use super::{Base, Error, Part, RUNNING_KERNEL, blobs, title};

/// A blob as it is, and where it comes from.
#[derive(Clone, Debug)]
pub struct RawSource {
    /// The file as it was named, or as it was found in the folder that was.
    pub path: PathBuf,
    /// Which of several blobs this is, if there are several.
    pub part: Option<Part>,
    /// Its bytes.
    pub blob: Vec<u8>,
    /// The section `.BTF.ext` that belongs to it.
    pub ext: Option<Vec<u8>>,
    /// Whether it continues another blob, as far as its strings tell, or because all do.
    pub is_split: bool,
    /// What it continues, if it needs that and it was found or named.
    pub base_btf: Option<Arc<Btf>>,
    /// Where that is.
    pub base: Base,
    /// The section `.BTF.base` of the same file.
    pub own_base: Option<Vec<u8>>,
    /// Whether the file is ELF.
    pub is_elf: bool,
    /// What was looked at for a base and does not fit.
    misfits: Vec<String>,
}

impl RawSource {
    /// The path and, if there are several blobs, which one.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.path, self.part)
    }

    /// The error that it continues another blob, and that is not there.
    #[must_use]
    pub fn no_base(&self) -> Error {
        Error::no_base(&self.title(), &self.misfits)
    }
}

/// Reads all files in their order, and those that folders hold; without any, the running kernel's.
///
/// Only what cannot be a file with BTF at all is an error, each beside the other files. `base` is what split BTF
/// continues that has no base of its own; `all_split` says that all is split BTF, whatever it looks like.
///
/// # Errors
/// If `base` cannot be read, or standard input is named twice.
pub fn open_raw(
    paths: &[PathBuf],
    base: Option<&Path>,
    all_split: bool,
) -> Result<Vec<Result<RawSource, Error>>, Error> {
    check_named(paths, base)?;
    let running = [PathBuf::from(RUNNING_KERNEL)];
    let named = if paths.is_empty() { &running } else { paths };
    let mut bases = Bases::new(base)?;
    let mut found = Vec::new();
    for path in named {
        let mut files = Vec::new();
        if let Err(error) = files::find(path, &mut files) {
            found.push(Err(error));
        }
        for path in files {
            match super::read(&path) {
                Ok(contents) => found.extend(blobs_of(&path, &contents).into_iter().map(Ok)),
                Err(error) => found.push(Err(error)),
            }
        }
    }
    let is_split =
        |source: &RawSource| source.own_base.is_none() && (all_split || bases.wants(&source.blob));
    let wants: Vec<_> = found
        .iter()
        .map(|source| source.as_ref().is_ok_and(is_split))
        .collect();
    if wants.contains(&true) {
        for (source, wants) in found.iter().zip(&wants) {
            if let (Ok(source), false) = (source, wants)
                && source.own_base.is_none()
                && let Ok(btf) = Btf::parse(&source.blob, None)
            {
                bases.offer(&source.path, source.part, &Arc::new(btf));
            }
        }
    }
    for (source, wants) in found.iter_mut().zip(wants) {
        let (Ok(source), true) = (source, wants) else {
            continue;
        };
        source.is_split = true;
        match bases.find(&source.path, &source.blob) {
            Ok((btf, path)) => {
                source.base_btf = Some(btf);
                source.base = Base::File(path);
            }
            Err(misfits) => source.misfits = misfits,
        }
    }
    Ok(found)
}

/// Takes what a file holds apart.
fn blobs_of(path: &Path, contents: &Contents) -> Vec<RawSource> {
    let base_btf = contents.base.as_deref().map(|base| Btf::parse(base, None));
    let base_btf = base_btf.and_then(Result::ok).map(Arc::new);
    let parts = blobs::parts(&contents.btf, blobs::end_of_btf);
    let exts = contents.ext.as_deref();
    let exts = exts.map(|ext| blobs::parts(ext, blobs::end_of_ext));
    let exts = exts.unwrap_or_default();
    let count = parts.len();
    let sources = parts.iter().enumerate().map(|(index, &(part, blob))| {
        // If some inputs had none, nobody knows which.
        let ext = exts.get(index).filter(|_| exts.len() == count);
        RawSource {
            path: path.to_owned(),
            part,
            blob: blob.to_vec(),
            ext: ext.map(|&(_, ext)| ext.to_vec()),
            is_split: contents.base.is_some(),
            base: match (&base_btf, &contents.base_path) {
                (None, _) => Base::None,
                (Some(_), None) => Base::Own,
                (Some(_), Some(path)) => Base::File(path.clone()),
            },
            base_btf: base_btf.clone(),
            own_base: contents.base.clone(),
            is_elf: contents.pointer_size.is_some(),
            misfits: Vec::new(),
        }
    });
    sources.collect()
}
