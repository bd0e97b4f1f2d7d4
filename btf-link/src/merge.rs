//! Makes one BTF of many, in which each type is there once.
//!
//! ```text
//! inputs → groups → fragments of the merge engine → types, numbered → BTF
//! ```
//!
//! An input that stands alone is a fragment of its own: a name means one thing in it, whatever it means elsewhere. Inputs that
//! continue the same BTF know its types by number, so they and that BTF are one fragment, in which nothing has to be guessed. The
//! types of what they continue are weak there, unless that is an input itself: only those that are needed are written.
//!
//! What is merged and what is not:
//! - Functions, variables, sections and tags are types like others: equal ones are one. A section that differs from another of its
//!   name stays beside it, because its offsets are right for its own file only.
//! - A function or variable that an input only names is one with its definition in another (`externs`).
//! - What gcc and clang spell differently is different, unless `canonical` spelling is asked for.
//! - A tag on a weak type comes with it.
//!
//! Names of the merge are numbers that `names` gives to strings. The result depends on the inputs and their order alone.

mod build;
mod canonical;
pub mod explain;
mod externs;
mod fragments;
pub(crate) mod names;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use btf_core::dedup::{
    Base, Fragment, FragmentIndex, Gathered, Merged, Merger, NamesInOrder, Output, Worker,
};
use btf_core::reader::Memory;
use btf_core::types::rewrite_refs;
use btf_core::{Btf, Builder, Info, Kind, Result, TypeId};

use build::{Placed, build};
use fragments::{Group, group};
use names::{Created, LocalNames, Names};

/// What is merged into what.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the result continues; without it the result stands alone.
    pub base: Option<Arc<Btf>>,
    /// Whether the spellings of gcc and clang become one; not for what continues other BTF, which stays as it is.
    pub is_canonical: bool,
    /// Whether [`MergedBtf::ids`] are wanted.
    pub has_ids: bool,
}

/// The result of a merge.
#[derive(Debug)]
pub struct MergedBtf {
    /// The types.
    pub btf: Btf,
    /// For each input the id in the result of each of its own types, by index, if they were wanted; `void` if there is none.
    pub ids: Vec<Vec<TypeId>>,
}

/// Merges BTF. Threads are those of rayon's current pool.
///
/// # Errors
/// The index of the first input that cannot be understood, and [`ErrorKind::TypeIdOutOfRange`](btf_core::ErrorKind::TypeIdOutOfRange),
/// [`ErrorKind::StringOutOfRange`](btf_core::ErrorKind::StringOutOfRange) or [`ErrorKind::UnknownKind`](btf_core::ErrorKind::UnknownKind); [`ErrorKind::TooLarge`](btf_core::ErrorKind::TooLarge)
/// without an index if the result does not fit BTF.
pub fn merge(
    inputs: &[Arc<Btf>],
    options: &Options,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<MergedBtf, Failure> {
    let names = Names::new();
    let mut created = Vec::new();
    let base = match &options.base {
        Some(btf) => {
            let indexed = index_base(btf, &names).map_err(Failure::of_result)?;
            created.push(indexed.1);
            Some(indexed.0)
        }
        None => None,
    };
    let merger = match &base {
        Some(base) => Merger::with_base(base),
        None => Merger::new(),
    };
    let groups = group(inputs, options.is_canonical && options.base.is_none());
    let add = |index: usize, adder: &mut Adder<'_>| {
        let group = &groups[index];
        let added = adder.add(index, group);
        added.map_err(|(part, error)| (group.input_of(part), error))
    };
    let count = groups.len();
    let gathered = gather(&merger, &names, count, &add, progress);
    let (gathered, of_inputs) = gathered.map_err(|(_, (input, error))| Failure { input, error })?;
    created.extend(of_inputs);
    // From here on every string has its number, and every type its class.

    let reload = |index, into: &mut Fragment| {
        // It could be read before.
        let _ = groups[index as usize].reload(&names, into);
    };
    let place = |in_order: NamesInOrder<'_>| {
        let strings = names.strings(created);
        Placed::new(options.base.as_ref(), in_order, strings)
    };
    let (merged, placed) = merger.finish_beside(gathered, &reload, place);
    let numbering = merged.number(&needed_tags(&merged, &groups));
    let builder = placed.and_then(|mut placed| build(&numbering, &mut placed));
    let mut ids = vec![Vec::new(); inputs.len()];
    for (index, group) in (0..).zip(&groups).filter(|_| options.has_ids) {
        for (input, locals) in group.inputs() {
            let id = |local| {
                let output = merged.output(index, TypeId(local));
                output.map(|output| numbering.id(output))
            };
            ids[input] = locals.map(|local| id(local).unwrap_or_default()).collect();
        }
    }
    let btf = builder.and_then(Builder::finish);
    let btf = btf.map_err(Failure::of_result)?;
    let merged = MergedBtf { btf, ids };
    merged.join_externs().map_err(Failure::of_result)
}

/// How many types and strings an input is taken to have that no other has: the modules of a kernel have 113 and 133. Tables that
/// are large enough at once need not be made again and again.
const NEW_OF_INPUT: usize = 128;

/// Up to how many types and strings there is room at once.
const MAX_ROOM: usize = 1 << 18;

/// For how many types and strings there is room at once in a merge of so many inputs.
fn room(inputs: usize) -> usize {
    inputs.saturating_mul(NEW_OF_INPUT).min(MAX_ROOM)
}

/// Reads BTF that stands alone, by its number.
pub type ReadInput<'r> = dyn Fn(usize, &mut Memory) -> Option<Btf> + Sync + 'r;

/// As [`merge`], for `count` inputs that are read when they are needed and not kept. Each is read once, few twice.
///
/// `None` if `read` returns that, or something with another number of types for an input that is read twice, or if [`merge`] would
/// fail; the latter can tell why.
pub fn merge_unkept(
    count: usize,
    read: &ReadInput<'_>,
    is_canonical: bool,
    progress: &(dyn Fn(usize) + Sync),
) -> Option<Btf> {
    let room = room(count);
    let names = Names::with_capacity(room);
    let merger = Merger::with_capacity(room);
    let read = |index, buffer: &mut _| read(index, buffer).filter(|btf| btf.base().is_none());
    let type_counts: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
    let add = |index: usize, adder: &mut Adder<'_>| {
        let btf = read(index, &mut adder.memory).ok_or(())?;
        type_counts[index].store(btf.starts().len(), Ordering::Relaxed);
        let added = adder.add(index, &Group::alone(&btf, is_canonical));
        btf.recycle(&mut adder.memory);
        added.map_err(|_| ())
    };
    let (gathered, created) = gather(&merger, &names, count, &add, progress).ok()?;
    let is_changed = AtomicBool::new(false);
    let reload = |index, into: &mut Fragment| {
        let btf = read(index as usize, &mut Memory::default());
        let count = type_counts[index as usize].load(Ordering::Relaxed);
        let btf = btf.filter(|btf| btf.starts().len() == count);
        let done = btf.is_some_and(|btf| {
            let group = Group::alone(&btf, is_canonical);
            group.reload(&names, into).is_ok()
        });
        if !done {
            into.clear();
            is_changed.store(true, Ordering::Relaxed);
        }
    };
    let place = |in_order: NamesInOrder<'_>| Placed::new(None, in_order, names.strings(created));
    let (merged, placed) = merger.finish_beside(gathered, &reload, place);
    if is_changed.into_inner() {
        return None;
    }
    let mut placed = placed.ok()?;
    let numbering = merged.number(&[]);
    let btf = build(&numbering, &mut placed).and_then(Builder::finish);
    drop(numbering);
    // To give so much memory back takes milliseconds, for which nobody should have to wait.
    rayon::spawn(move || drop((merged, names, placed)));
    let (btf, ids) = (btf.ok()?, Vec::new());
    let merged = MergedBtf { btf, ids }.join_externs().ok()?;
    Some(merged.btf)
}

impl MergedBtf {
    /// Joins what is only named with its definition; merges once more if there is something to join.
    fn join_externs(mut self) -> Result<Self> {
        let pairs = if self.btf.base().is_none() {
            externs::find(&self.btf)
        } else {
            Vec::new()
        };
        if pairs.is_empty() {
            return Ok(self);
        }
        let mut fragment = Fragment::default();
        externs::replace(&self.btf, &pairs, &mut fragment);
        let merger = Merger::new();
        let mut worker = merger.worker();
        worker.add(0, &fragment);
        let gathered = worker.finish();
        let merged = merger.finish(vec![gathered], &|_, into| into.clone_from(&fragment));
        let numbering = merged.number(&[]);
        let mut builder = Builder::new();
        let mut failed = None;
        numbering.for_each_record(|_, record| {
            let name = |name| builder.add_string(self.btf.string(name)?);
            let done = rewrite_refs(record, name, Ok).and_then(|()| builder.push_record(record));
            failed = failed.take().or(done.err());
        });
        if let Some(error) = failed {
            return Err(error);
        }
        for id in self.ids.iter_mut().flatten() {
            let output = merged.output(0, *id);
            *id = output
                .map(|output| numbering.id(output))
                .unwrap_or_default();
        }
        self.btf = builder.finish()?;
        Ok(self)
    }
}

/// Why a merge failed.
#[derive(Debug)]
pub struct Failure {
    /// The input that is to blame, by index.
    pub input: Option<usize>,
    /// What is wrong.
    pub error: btf_core::Error,
}

impl Failure {
    fn of_result(error: btf_core::Error) -> Self {
        let input = None;
        Self { input, error }
    }
}

/// Indexes what the result continues; the second are the names that it brought.
fn index_base(btf: &Arc<Btf>, names: &Names) -> Result<(Base, Created)> {
    let mut local = LocalNames::new(names);
    let mut content = Fragment::default();
    let group = Group::of_base(btf);
    group
        .read(&mut local.reading(), &mut content)
        .map_err(|(_, error)| error)?;
    Ok((Base::new(content), local.finish()))
}

/// What a thread needs to add fragments to a merge.
struct Adder<'m> {
    worker: Worker<'m>,
    names: LocalNames<'m>,
    /// Memory that is used again.
    fragment: Fragment,
    memory: Memory,
}

impl Adder<'_> {
    /// Adds a group, or tells which part of it cannot be understood.
    fn add(&mut self, index: usize, group: &Group<'_>) -> Result<(), (usize, btf_core::Error)> {
        let index = u32::try_from(index).unwrap_or(FragmentIndex::MAX);
        let mut names = self.names.reading();
        let types = group.verbatim(&mut names);
        if !types.is_some_and(|types| self.worker.add_verbatim(index, types)) {
            group.read(&mut names, &mut self.fragment)?;
            self.worker.add(index, &self.fragment);
        }
        Ok(())
    }
}

/// Adds the group of an index.
type Add<'f, E> = dyn Fn(usize, &mut Adder<'_>) -> Result<(), E> + Sync + 'f;

/// Adds so many fragments to the merge, on all threads; the error is that of the first fragment that cannot be made.
fn gather<E: Send>(
    merger: &Merger<'_>,
    names: &Names,
    count: usize,
    add: &Add<'_, E>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(Vec<Gathered>, Vec<Created>), (usize, E)> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || -> Result<_, (usize, E)> {
        let mut adder = Adder {
            worker: merger.worker(),
            names: LocalNames::new(names),
            fragment: Fragment::default(),
            memory: Memory::default(),
        };
        adder.names.reserve(room(count));
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            add(index, &mut adder).map_err(|error| {
                // All before it have been taken: the least that fails is the first.
                next.fetch_max(count, Ordering::Relaxed);
                (index, error)
            })?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        Ok((adder.worker.finish(), adder.names.finish()))
    };
    let mut all = (Vec::new(), Vec::new());
    let mut first = None::<(usize, E)>;
    for result in rayon::broadcast(|_| work()) {
        match result {
            Ok((gathered, created)) => {
                all.0.push(gathered);
                all.1.push(created);
            }
            Err(error) if first.as_ref().is_none_or(|first| error.0 < first.0) => {
                first = Some(error);
            }
            Err(_) => {}
        }
    }
    first.map_or(Ok(all), Err)
}

/// The tags on types that are written although they are weak, which are weak themselves and which nothing refers to.
fn needed_tags(merged: &Merged, groups: &[Group<'_>]) -> Vec<Output> {
    if !groups.iter().any(Group::has_weak) {
        return Vec::new();
    }
    let numbering = merged.number(&[]);
    let mut needed = Vec::new();
    for (index, group) in (0..).zip(groups) {
        group.for_each_weak(Kind::DeclTag, |tag, target| {
            let target = merged.output(index, target);
            if target.is_some_and(|target| !numbering.id(target).is_void()) {
                needed.extend(merged.output(index, tag));
            }
        });
    }
    needed
}

/// The kind of a record, if it is known.
fn kind_of(record: &[u32]) -> Option<Kind> {
    Info(record.get(1).copied().unwrap_or(0)).kind()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF in which a structure has so many definitions, each of another size, with a pointer to each.
    fn definitions(count: u32) -> Btf {
        let mut builder = Builder::new();
        let name = builder.add_string(b"s").unwrap();
        for number in 1..=count {
            let info = Info::new(Kind::Struct, 0, false);
            let id = builder.push_record(&[name.0, info.0, number]).unwrap();
            let info = Info::new(Kind::Ptr, 0, false);
            builder.push_record(&[0, info.0, id.0]).unwrap();
        }
        builder.finish().unwrap()
    }

    /// A pointer to a declaration of the structure `foo`, if there is one, on a base with `int` and `foo`, whose member has this name.
    fn on_base(member: &[u8], has_pointer: bool) -> Arc<Btf> {
        let mut builder = Builder::new();
        let names = [&b"int"[..], b"foo", member].map(|name| builder.add_string(name).unwrap().0);
        let [int, structure, forward, ptr] =
            [Kind::Int, Kind::Struct, Kind::Fwd, Kind::Ptr].map(|kind| Info::new(kind, 0, false).0);
        builder.push_record(&[names[0], int, 4, 32]).unwrap();
        let structure = [names[1], structure | 1, 4, names[2], 1, 0];
        builder.push_record(&structure).unwrap();
        let mut split = Builder::with_base(Arc::new(builder.finish().unwrap()));
        split.push_record(&[names[1], forward, 0]).unwrap();
        if has_pointer {
            split.push_record(&[0, ptr, 3]).unwrap();
        }
        Arc::new(split.finish().unwrap())
    }

    /// The kinds and the strings of what the inputs are merged into.
    fn merged(inputs: &[Arc<Btf>]) -> (Vec<Kind>, String) {
        let merged = merge(inputs, &Options::default(), &|_| {}).unwrap().btf;
        let kinds = merged.records().filter_map(|(_, record)| kind_of(record));
        let strings = String::from_utf8(merged.string_bytes().to_vec()).unwrap();
        (kinds.collect(), strings)
    }

    #[test]
    fn a_definition_that_only_a_declaration_needs_brings_its_strings() {
        let (kinds, strings) = merged(&[on_base(b"xx", true)]);
        assert_eq!(kinds, [Kind::Struct, Kind::Ptr, Kind::Int]);
        assert_eq!(strings, "\0foo\0xx\0int\0");
    }

    #[test]
    fn a_declaration_that_may_mean_several_and_is_not_needed_leaves_no_string() {
        let inputs = [on_base(b"xx", false), on_base(b"yy", false)];
        assert_eq!(merged(&inputs), (vec![], "\0".to_owned()));
    }

    #[test]
    fn an_input_that_changes_before_it_is_read_again_is_noticed() {
        for (second, is_merged) in [(2, true), (3, false), (1, false)] {
            let reads = AtomicUsize::new(0);
            let read = |_: usize, _: &mut Memory| {
                let is_first = reads.fetch_add(1, Ordering::Relaxed) == 0;
                Some(definitions(if is_first { 2 } else { second }))
            };
            let merged = merge_unkept(1, &read, false, &|_| {});
            assert_eq!(reads.load(Ordering::Relaxed), 2);
            assert_eq!(merged.is_some(), is_merged, "{second}");
            if let Some(merged) = merged {
                assert_eq!(merged.records().count(), 4);
            }
        }
    }
}
