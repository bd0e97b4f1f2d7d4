//! The files of both sides: what belongs together, and in which order it is read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use btf_core::cli::sources::{Error, STDIN, Source, check_stdin, open_each};
use btf_core::{Btf, TypeId};
use btf_dump::diff::breaking::Exports;
use btf_dump::diff::{Causes, Diff, Options, Side};
use btf_dump::kfuncs::sets::{self, Sets};
use btf_dump::kfuncs::{self, Kfunc};
use btf_dump::pointer;
use rayon::prelude::*;

use super::DiffArgs;

/// What was read of both sides.
pub(super) struct Opened {
    pub(super) old: Vec<Source>,
    pub(super) new: Vec<Source>,
    /// The files of folders that cannot be read, and why.
    pub(super) unreadable: Vec<(PathBuf, Error)>,
}

/// Reads the files of both sides. One of a folder that cannot be read is left out.
pub(super) fn open(args: &DiffArgs) -> Result<Opened> {
    let bases = args.old_base.iter().chain(&args.new_base);
    check_stdin([&args.old, &args.new].into_iter().chain(bases))?;
    let read = |path: &Path, base: Option<&Path>, option: &str| {
        let named = |error: Error| error.with_base_option(option);
        let (mut sources, mut unreadable) = (Vec::new(), Vec::new());
        for source in open_each(&[path.to_owned()], base).map_err(named)? {
            match source {
                Ok(source) => sources.push(source),
                Err((place, error)) if place == path => return Err(named(error)),
                Err((place, error)) => unreadable.push((place, named(error))),
            }
        }
        Ok((sources, unreadable))
    };
    let (old, new) = rayon::join(
        || read(&args.old, args.old_base.as_deref(), "--old-base"),
        || read(&args.new, args.new_base.as_deref(), "--new-base"),
    );
    let ((old, mut unreadable), (new, others)) = (old?, new?);
    unreadable.extend(others);
    Ok(Opened {
        old,
        new,
        unreadable,
    })
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

/// The files of one side, ready to be compared.
struct Files<'b> {
    /// What was named: a folder, or the file itself.
    root: &'b Path,
    all: Vec<(&'b Source, Arc<Side<'b>>)>,
}

impl Files<'_> {
    /// Whether there is one only, or the blobs of one.
    fn are_one(&self) -> bool {
        self.all.len() == 1 || self.all.iter().all(|(source, _)| source.path == self.root)
    }

    /// Where a file is in its folder; empty if it was named itself.
    fn place(&self, index: usize) -> &Path {
        let path = &self.all[index].0.path;
        path.strip_prefix(self.root).unwrap_or(path)
    }
}

/// The files of both sides, ready to be compared.
pub(super) struct Sides<'b> {
    old: Files<'b>,
    new: Files<'b>,
}

impl<'b> Sides<'b> {
    pub(super) fn new(args: &'b DiffArgs, old: &'b [Source], new: &'b [Source]) -> Result<Self> {
        let options = SideOptions {
            hashing: Options::new(args.tags),
            exports: args.breaking || args.json || args.html,
        };
        let (old, new) = rayon::join(|| sides(old, options), || sides(new, options));
        let files = |root, all| Files { root, all };
        Ok(Self {
            old: files(&args.old, old?),
            new: files(&args.new, new?),
        })
    }

    /// Whether a file that only one side has may belong to one that cannot be read.
    pub(super) fn may_belong(&self, pair: &Pair, unreadable: &[(PathBuf, Error)]) -> bool {
        let own = pair.old.map(|old| self.old.all[old].0);
        let own = own.or_else(|| Some(self.new.all[pair.new?].0));
        let Some(mut key) = own.map(Key::of) else {
            return false;
        };
        key.part = 0;
        unreadable.iter().any(|(path, _)| Key::of_file(path) == key)
    }

    /// Puts files of one name together. One file a side belongs together, whatever it is called.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let is_one = [&self.old, &self.new].into_iter().all(Files::are_one);
        let mut groups: BTreeMap<Key, [Vec<usize>; 2]> = BTreeMap::new();
        for (files, at) in [(&self.old, 0), (&self.new, 1)] {
            for (index, (source, _)) in files.all.iter().enumerate() {
                let mut key = Key::of(source);
                if is_one {
                    (key.is_module, key.name) = (true, String::new());
                }
                groups.entry(key).or_default()[at].push(index);
            }
        }
        let pairs = groups.into_values().flat_map(|group| self.pair_up(group));
        pairs.collect()
    }

    /// Pairs the files of one name: what lies at the same place of both folders belongs together, or else in the same folder, or
    /// else comes at the same turn.
    fn pair_up(&self, [mut olds, mut news]: [Vec<usize>; 2]) -> Vec<Pair> {
        let is_several = olds.len() > 1 || news.len() > 1;
        let mut pairs = Vec::new();
        let rounds: [fn(&Path) -> &Path; 3] = [
            |place| place,
            |place| place.parent().unwrap_or(place),
            |_| Path::new(""),
        ];
        for round in rounds {
            olds.retain(|&old| {
                let place = round(self.old.place(old));
                let is_there = |&new: &usize| round(self.new.place(new)) == place;
                let found = news.iter().position(is_there);
                pairs.extend(found.map(|index| (Some(old), Some(news.remove(index)))));
                found.is_none()
            });
        }
        pairs.extend(olds.into_iter().map(|old| (Some(old), None)));
        pairs.extend(news.into_iter().map(|new| (None, Some(new))));
        let pairs = pairs.into_iter();
        let mut pairs: Vec<_> = pairs
            .map(|(old, new)| self.pair(old, new, is_several))
            .collect();
        pairs.sort_by(|a, b| a.name.cmp(&b.name));
        pairs
    }

    /// Two files that belong together, or one that is alone; of several files of one name the place tells which one it is.
    fn pair(&self, old: Option<usize>, new: Option<usize>, is_several: bool) -> Pair {
        let source = |files: &Files<'b>, index: Option<usize>| Some(files.all[index?].0);
        let (old_source, new_source) = (source(&self.old, old), source(&self.new, new));
        let place = new.map_or_else(
            || old.map(|old| self.old.place(old)),
            |new| Some(self.new.place(new)),
        );
        let key = old_source.or(new_source).map(Key::of).unwrap_or_default();
        let mut name = match place {
            Some(place) if is_several => place.display().to_string(),
            _ => key.name,
        };
        if key.part > 0 {
            name = format!("{name}: blob {}", key.part);
        }
        Pair {
            name,
            old,
            new,
            old_title: old_source.map(Source::title),
            new_title: new_source.map(Source::title),
        }
    }

    /// Compares what belongs together; `None` for a file that only one side has.
    pub(super) fn diffs(&'b self, pairs: &[Pair]) -> Vec<Option<Diff<'b>>> {
        let sides = |pair: &Pair| Some((&self.old.all[pair.old?].1, &self.new.all[pair.new?].1));
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
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    is_module: bool,
    name: String,
    /// Which of several blobs it is, from 1; 0 for the only one.
    part: usize,
}

impl Key {
    fn of(source: &Source) -> Self {
        Self {
            part: source.part.map_or(0, |part| part.number),
            ..Self::of_file(&source.path)
        }
    }

    fn of_file(path: &Path) -> Self {
        let file = path.file_name().unwrap_or_default();
        let file = file.to_string_lossy();
        let stem = file.split(".ko").next().unwrap_or_default();
        let is_kernel = stem.starts_with("vmlinux");
        Self {
            is_module: !is_kernel,
            name: if is_kernel {
                "vmlinux".to_owned()
            } else {
                stem.replace('-', "_")
            },
            part: 0,
        }
    }
}

/// How sides are made.
#[derive(Clone, Copy)]
struct SideOptions {
    hashing: Options,
    /// Whether to look for what is exported.
    exports: bool,
}

/// Makes the sides of files, and those of their bases.
fn sides(sources: &[Source], options: SideOptions) -> Result<Vec<(&Source, Arc<Side<'_>>)>> {
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
    options: SideOptions,
) -> Result<Arc<Side<'b>>> {
    let made = side_of(&source.btf, base, source.pointer_size, options);
    let mut made = made.with_context(|| source.title())?;
    let find = |sets: Option<&Sets>| ids(&kfuncs::find_by(&source.btf, made.decl_tags(), sets));
    let mut found = Some(find(None)).filter(|found| !found.is_empty());
    if found.is_none() && is_file(source) {
        // Kernels before 6.10 tell by sets only.
        let sets = sets::read(&source.path).with_context(|| source.title())?;
        found = sets.map(|sets| find(Some(&sets)));
    }
    let exports = if options.exports && is_file(source) {
        Exports::read(&source.path).with_context(|| source.title())?
    } else {
        None
    };
    if let Some(made) = Arc::get_mut(&mut made) {
        if let Some(found) = found {
            made.set_kfuncs(found);
        }
        if let Some(exports) = exports {
            made.set_exports(|name| exports.contains(name));
        }
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
    options: SideOptions,
) -> btf_core::Result<Arc<Side<'b>>> {
    let pointer_size = pointer::size(btf, pointer_size);
    Side::new(btf, base, pointer_size, options.hashing).map(Arc::new)
}

/// Tells one blob from another.
fn address(btf: &Btf) -> usize {
    std::ptr::from_ref(btf).addr()
}
