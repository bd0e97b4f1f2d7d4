//! The files of both sides: what belongs together, and in which order it is read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use btf_core::cli::sources::{STDIN, Source, open as open_sources};
use btf_core::{Btf, TypeId};
use btf_dump::diff::breaking::Exports;
use btf_dump::diff::{Causes, Diff, Options, Side};
use btf_dump::kfuncs::{self, Kfunc};
use btf_dump::pointer;
use rayon::prelude::*;

use super::DiffArgs;

/// Reads the files of both sides.
pub(super) fn open(args: &DiffArgs) -> Result<(Vec<Source>, Vec<Source>)> {
    let read = |path: &Path, base: &Option<std::path::PathBuf>| {
        open_sources(&[path.to_owned()], base.as_deref())
    };
    let (old, new) = rayon::join(
        || read(&args.old, &args.old_base),
        || read(&args.new, &args.new_base),
    );
    Ok((old?, new?))
}

/// Files of one name, by their indices.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) old: Option<usize>,
    pub(super) new: Option<usize>,
    pub(super) old_title: Option<String>,
    pub(super) new_title: Option<String>,
}

impl Pair {
    fn new(name: String) -> Self {
        Self {
            name,
            old: None,
            new: None,
            old_title: None,
            new_title: None,
        }
    }
}

/// The files of both sides, ready to be compared.
pub(super) struct Sides<'b> {
    old: Vec<(&'b Source, Arc<Side<'b>>)>,
    new: Vec<(&'b Source, Arc<Side<'b>>)>,
}

impl<'b> Sides<'b> {
    pub(super) fn new(old: &'b [Source], new: &'b [Source], tags: bool) -> Result<Self> {
        let options = Options::new(tags);
        let (old, new) = rayon::join(|| sides(old, options), || sides(new, options));
        Ok(Self {
            old: old?,
            new: new?,
        })
    }

    /// Puts files of one name together. One file a side belongs together, whatever it is called.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let is_one = self.old.len() == 1 && self.new.len() == 1;
        let mut pairs: BTreeMap<(bool, String, usize), Pair> = BTreeMap::new();
        for (is_new, files) in [(false, &self.old), (true, &self.new)] {
            for (index, (source, _)) in files.iter().enumerate() {
                let is_taken = |key: &_| {
                    let pair: Option<&Pair> = pairs.get(key);
                    pair.is_some_and(|pair| if is_new { pair.new } else { pair.old }.is_some())
                };
                let (mut key, name) = key_of(source, is_taken);
                if is_one {
                    key = (true, String::new(), 0);
                }
                let pair = pairs.entry(key).or_insert_with(|| Pair::new(name));
                let title = Some(source.title());
                if is_new {
                    (pair.new, pair.new_title) = (Some(index), title);
                } else {
                    (pair.old, pair.old_title) = (Some(index), title);
                }
            }
        }
        pairs.into_values().collect()
    }

    /// What the old file of a pair exports, if anybody asks.
    pub(super) fn exports(&self, args: &DiffArgs, pair: &Pair) -> Result<Exports> {
        let source = pair.old.filter(|_| args.breaking || args.html);
        let source = source.map(|index| self.old[index].0);
        match source.filter(|source| is_file(source)) {
            Some(source) => Exports::read(&source.path).with_context(|| source.title()),
            None => Ok(Exports::default()),
        }
    }

    /// Compares what belongs together; `None` for a file that only one side has.
    pub(super) fn diffs(&'b self, pairs: &[Pair]) -> Vec<Option<Diff<'b>>> {
        let sides = |pair: &Pair| Some((&self.old[pair.old?].1, &self.new[pair.new?].1));
        // Bases first: what has changed in them tells what has changed in what continues them.
        let mut causes: HashMap<(usize, usize), Causes> = HashMap::new();
        let key = |old: &Side<'_>, new: &Side<'_>| (address(old.btf()), address(new.btf()));
        let mut bases: HashMap<_, Diff<'b>> = HashMap::new();
        for (old, new) in pairs.iter().filter_map(sides) {
            if let (Some(old), Some(new)) = (old.base(), new.base())
                && !causes.contains_key(&key(old, new))
            {
                let diff = Diff::new(old, new, None);
                causes.insert(key(old, new), diff.causes.clone());
                bases.insert(key(old, new), diff);
            }
        }
        let mut diffs: Vec<Option<Diff<'b>>> = pairs
            .par_iter()
            .map(|pair| {
                let (old, new) = sides(pair)?;
                if causes.contains_key(&key(old, new)) {
                    return None;
                }
                let base = old.base().zip(new.base());
                let base = base.and_then(|(old, new)| causes.get(&key(old, new)));
                Some(Diff::new(old, new, base))
            })
            .collect();
        for (diff, pair) in diffs.iter_mut().zip(pairs) {
            if let (None, Some((old, new))) = (&diff, sides(pair)) {
                *diff = bases.remove(&key(old, new));
            }
        }
        diffs
    }
}

/// What a file is called in both folders: kernels first, then modules by name, whatever stands behind it.
fn key_of(
    source: &Source,
    is_taken: impl Fn(&(bool, String, usize)) -> bool,
) -> ((bool, String, usize), String) {
    let file = source
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let stem = file.split(".ko").next().unwrap_or_default();
    let is_kernel = stem.starts_with("vmlinux");
    let name = if is_kernel {
        "vmlinux".to_owned()
    } else {
        stem.replace('-', "_")
    };
    let part = source.part.map_or(0, |part| part.number);
    let key = (!is_kernel, name.clone(), part);
    if is_taken(&key) {
        // Several files of that name: their whole paths tell them apart.
        let path = source.title();
        return ((!is_kernel, path.clone(), part), path);
    }
    let name = if part == 0 {
        name
    } else {
        format!("{name}: blob {part}")
    };
    (key, name)
}

/// Makes the sides of files, and those of their bases.
fn sides(sources: &[Source], options: Options) -> Result<Vec<(&Source, Arc<Side<'_>>)>> {
    let mut bases: HashMap<usize, Arc<Side<'_>>> = HashMap::new();
    for source in sources {
        let mut chain: Vec<&Btf> = source.btf.chain().skip(1).collect();
        chain.reverse();
        let mut below: Option<Arc<Side<'_>>> = None;
        for btf in chain {
            let made = match bases.entry(address(btf)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let mut own = sources.iter();
                    let made = match own.find(|source| address(&source.btf) == address(btf)) {
                        Some(own) => side(own, below.take(), options)?,
                        None => side_of(btf, below.take(), source.pointer_size, options)
                            .with_context(|| format!("base of {}", source.title()))?,
                    };
                    place.insert(made)
                }
            };
            below = Some(made.clone());
        }
    }
    let made: Result<Vec<_>> = sources
        .par_iter()
        .map(|source| {
            let known = bases.get(&address(&source.btf)).cloned();
            let made = known.map_or_else(
                || {
                    let base = source.btf.base().and_then(|base| bases.get(&address(base)));
                    side(source, base.cloned(), options)
                },
                Ok,
            );
            made.map(|side| (source, side))
        })
        .collect();
    made
}

/// Makes the side of a file.
fn side<'b>(
    source: &'b Source,
    base: Option<Arc<Side<'b>>>,
    options: Options,
) -> Result<Arc<Side<'b>>> {
    let made = side_of(&source.btf, base, source.pointer_size, options);
    let mut made = made.with_context(|| source.title())?;
    let mut found: Vec<_> = ids(&kfuncs::find(&source.btf, None));
    let mut is_known = !found.is_empty();
    if !is_known && is_file(source) {
        // Kernels before 6.10 tell by sets only.
        let sets = kfuncs::sets::read(&source.path).with_context(|| source.title())?;
        is_known = sets.is_some();
        found = ids(&kfuncs::find(&source.btf, sets.as_ref()));
    }
    if let (true, Some(made)) = (is_known, Arc::get_mut(&mut made)) {
        made.set_kfuncs(found);
    }
    Ok(made)
}

/// Whether more can be read than the BTF.
fn is_file(source: &Source) -> bool {
    source.path != Path::new(STDIN) && source.part.is_none()
}

fn ids(kfuncs: &[Kfunc<'_>]) -> Vec<TypeId> {
    kfuncs.iter().map(|kfunc| kfunc.id).collect()
}

fn side_of<'b>(
    btf: &'b Btf,
    base: Option<Arc<Side<'b>>>,
    pointer_size: Option<u8>,
    options: Options,
) -> btf_core::Result<Arc<Side<'b>>> {
    let pointer_size = pointer::size(btf, pointer_size);
    Side::new(btf, base, pointer_size, options).map(Arc::new)
}

/// Tells one blob from another.
fn address(btf: &Btf) -> usize {
    std::ptr::from_ref(btf).addr()
}
