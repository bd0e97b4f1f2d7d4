//! Verbatim: types as they stand in BTF, known by what came before.
//!
//! Problem: where the inputs are BTF that was merged already, such as that of a kernel's modules, nearly every type has
//! been met, and mostly behind the same one as before. Copying its words, hashing them and looking up the hash costs more
//! than to see that it is that type again.
//!
//! Method: a *reading* of a type is its record with what its key is made of: each name's number in place of its offset,
//! and in place of each id what a reference counts as, the target's label or else the target's class. Readings are equal
//! if and only if keys are, and a class has one. So a type is read word by word beside the reading of the class that came
//! next before. Only where they differ its own reading is made, and its key, which leads to the class.
//!
//! What has a label comes last, as for keys ([`super::key`]), so that what each reference counts as is known. Cycles
//! without a label, for which keys invent some, are left to whoever computes keys.
//!
//! What a thread reads first is kept, as its reading, with the targets that this does not say in a list beside.

use std::ops::Range;

use super::classes::{Known, KnownClasses, NO_READING};
use super::fragment::{for_each_name_word, for_each_type_word, u32_len};
use super::key::{Label, contribution_of, key_of, tag_space};
use crate::kind::{Kind, NUMBERS, TABLE, Third, Word};
use crate::refs::word_roles;
use crate::shared::halves;
use crate::wire::Info;

/// Stands in [`Verbatim::names`] where no string starts.
pub const NO_NAME: u32 = u32::MAX;

/// Types as they stand in BTF that stands alone.
#[derive(Clone, Copy, Debug)]
pub struct Verbatim<'a> {
    /// The records, in the order of their ids, each as long as its kind and its number of elements say.
    pub words: &'a [u32],
    /// The index in `words` at which the record of each type begins, and one last entry for where the last one ends.
    pub starts: &'a [u32],
    /// By offset the [`Name`](super::Name) of each string, and [`NO_NAME`] for all other offsets.
    pub names: &'a [u32],
}

impl<'a> Verbatim<'a> {
    /// The words from the record of the `local`-th type (from 0) on.
    #[inline]
    fn words_at(&self, local: u32) -> &'a [u32] {
        let start = self.starts.get(local as usize).copied();
        let words = start.and_then(|start| self.words.get(start as usize..));
        words.unwrap_or_default()
    }

    /// The kind and the words of the `local`-th type, if it is whole.
    pub(super) fn record(&self, local: u32) -> Option<(Kind, &'a [u32])> {
        let [start, end] = *self.starts.get(local as usize..)?.first_chunk()?;
        let record = self.words.get(start as usize..end as usize)?;
        let info = Info(*record.get(1)?);
        let kind = info.kind()?;
        (record.len() == kind.record_words(info.vlen())).then_some((kind, record))
    }

    /// The name at an offset, or [`NO_NAME`].
    #[inline]
    fn name(&self, offset: u32) -> u32 {
        self.names.get(offset as usize).copied().unwrap_or(NO_NAME)
    }
}

/// What a reference counts as, which is what stands for it in the records that a thread keeps: `void`; that is not known yet; it is
/// being found out.
const VOID: u32 = 0;
const UNKNOWN: u32 = 1;
const OPEN: u32 = 2;
/// From here on the index among the known of a class without a label.
const FIRST_CLASS: u32 = 3;
/// From here on a label: its upper half in the two upper bits, the name below.
const FIRST_LABEL: u32 = 1 << NAME_BITS;
const NAME_BITS: u32 = 30;
/// One past the greatest class that a kept record says that is no reading; in tests few, so that others are there, too.
const MAX_SAID: u32 = if cfg!(test) {
    4
} else {
    FIRST_LABEL - FIRST_CLASS
};

/// What stands for a reference to a class, or to `void`; if that does not say which, the class is put to `targets`.
pub(super) fn reference_to(class: Option<u32>, targets: &mut Vec<u32>) -> u32 {
    match class {
        None => VOID,
        Some(class) if class < MAX_SAID => FIRST_CLASS + class,
        Some(class) => {
            targets.push(class);
            FIRST_LABEL
        }
    }
}

/// Puts the class of each target plus 1, or 0 for `void`, in place of what references count as in a record that is kept; `targets`
/// are those that these do not say.
#[inline]
pub(super) fn set_targets(
    (kind, record): (Kind, &mut [u32]),
    targets: &mut impl Iterator<Item = u32>,
    class: impl Fn(u32) -> u32,
) {
    for_each_type_word(kind, record.len(), |at| {
        let target = match record[at] {
            reference @ FIRST_CLASS..FIRST_LABEL => Some(reference - FIRST_CLASS),
            FIRST_LABEL.. => targets.next(),
            _ => None,
        };
        record[at] = target.map_or(0, |target| class(target) + 1);
    });
}

/// How many targets the references of a record that is kept do not say.
pub(super) fn unsaid_targets((kind, record): (Kind, &[u32])) -> usize {
    let mut count = 0;
    for_each_type_word(kind, record.len(), |at| {
        count += usize::from(record[at] >= FIRST_LABEL);
    });
    count
}

/// The label that a reference counts as, 0 for none.
fn label_of(reference: u32) -> Label {
    match reference {
        FIRST_LABEL.. => {
            let name = reference & (FIRST_LABEL - 1);
            u64::from(reference >> NAME_BITS) << 32 | u64::from(name)
        }
        _ => 0,
    }
}

/// How two records of one kind are compared.
#[derive(Clone, Copy)]
struct Comparison {
    third_is_type: bool,
    rest: Rest,
}

/// What stands behind a record's header.
#[derive(Clone, Copy)]
enum Rest {
    Nothing,
    /// As many of these as the header says.
    NameTypeValue,
    NameType,
    NameValue,
    /// What is less frequent.
    Other,
}

/// By the number of the kind, so that nobody has to foresee which comes next.
const COMPARISONS: [Comparison; NUMBERS] = {
    let nothing = Comparison {
        third_is_type: false,
        rest: Rest::Other,
    };
    let mut comparisons = [nothing; NUMBERS];
    let mut index = 0;
    while index < TABLE.len() {
        let row = &TABLE[index];
        comparisons[index + 1] = Comparison {
            third_is_type: matches!(row.third, Third::Type | Third::Proto),
            rest: match (row.trailer, row.element) {
                ([], []) => Rest::Nothing,
                ([], [Word::Name, Word::Type, Word::Value]) => Rest::NameTypeValue,
                ([], [Word::Name, Word::Type]) => Rest::NameType,
                ([], [Word::Name, Word::Value]) => Rest::NameValue,
                _ => Rest::Other,
            },
        };
        index += 1;
    }
    comparisons
};

/// The readings of the classes that a thread has met, and the types of the fragment that is being read.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// All readings, one behind the other, and the records that are kept and are none.
    pub(super) words: Vec<u32>,
    /// What a reference to each local id counts as.
    references: Vec<u32>,
    /// For each type the index of its class among the known.
    pub(super) indices: Vec<u32>,
    /// The types without a label, and those with one; both have room for all types.
    locals: [Vec<u32>; 2],
    stack: Vec<u32>,
}

impl Readings {
    /// Finds the classes of all types; `None` if that is not possible.
    pub(super) fn read(&mut self, types: Verbatim<'_>, known: &mut KnownClasses) -> Option<()> {
        let label_count = self.begin(types)?;
        let count = self.indices.len() - label_count;
        self.find_all::<false>(types, known, count)?;
        // All that these refer to is known by now.
        self.find_all::<true>(types, known, label_count)
    }

    /// Finds the classes of all types with or without labels, of which there are `count`.
    fn find_all<const HAS_LABEL: bool>(
        &mut self,
        types: Verbatim<'_>,
        known: &mut KnownClasses,
        count: usize,
    ) -> Option<()> {
        let mut at = 0;
        loop {
            at += self.follow::<HAS_LABEL>(types, known, at..count);
            if at == count {
                return Some(());
            }
            let local = self.locals[usize::from(HAS_LABEL)][at];
            self.search_with_targets(types, known, local)?;
            at += 1;
        }
    }

    /// Finds the classes of types with or without labels as long as each is the one that came next before; the number of these types.
    ///
    /// That is what becomes of nearly all types, so it is one loop without calls.
    fn follow<const HAS_LABEL: bool>(
        &mut self,
        types: Verbatim<'_>,
        known: &mut KnownClasses,
        part: Range<usize>,
    ) -> usize {
        let locals = &self.locals[usize::from(HAS_LABEL)][part];
        let (words, references) = (known_words(&self.words), &mut self.references[..]);
        let indices = &mut self.indices[..];
        let mut guess = known.guess();
        for (count, &local) in locals.iter().enumerate() {
            // What others needed before its turn is known.
            if !HAS_LABEL && references[local as usize + 1] != UNKNOWN {
                continue;
            }
            let Some(&Known { reading, next }) = known.all.get(guess as usize) else {
                return count;
            };
            let reading = words.get(reading as usize..).unwrap_or_default();
            if !reads(types, references, types.words_at(local), reading) {
                return count;
            }
            indices[local as usize] = guess;
            if !HAS_LABEL {
                references[local as usize + 1] = FIRST_CLASS + guess;
            }
            known.confirm(guess);
            guess = next;
        }
        locals.len()
    }

    /// Puts to `targets` the classes of those that a reading does not say; `record` is the same with local ids, and `members` has the
    /// class of each type.
    pub(super) fn say_targets(
        &self,
        reading: u32,
        (kind, record): (Kind, &[u32]),
        members: &[u32],
        targets: &mut Vec<u32>,
    ) {
        let reading = &self.words[reading as usize..][..record.len()];
        for_each_type_word(kind, record.len(), |at| {
            if reading[at] >= FIRST_LABEL {
                targets.push(members[record[at] as usize - 1]);
            }
        });
    }

    /// The label of the `local`-th type of the fragment that was read last.
    pub(super) fn label(&self, local: u32) -> Label {
        label_of(self.references[local as usize + 1])
    }

    /// Finds the labels of all types; gives the number of those that have one.
    fn begin(&mut self, types: Verbatim<'_>) -> Option<usize> {
        let (_, starts) = types.starts.split_last()?;
        let count = starts.len();
        let Self {
            references,
            indices,
            locals: [unlabelled, labelled],
            ..
        } = self;
        references.clear();
        references.push(VOID);
        indices.clear();
        indices.resize(count, 0);
        for locals in [&mut *unlabelled, &mut *labelled] {
            locals.resize(locals.len().max(count), 0);
        }
        let (mut label_count, mut is_odd) = (0, false);
        references.extend(starts.iter().zip(0..).map(|(&start, local)| {
            let (name, info) = match types.words.get(start as usize..) {
                Some(&[name, info, ..]) => (types.name(name), Info(info)),
                _ => (0, Info(0)),
            };
            let space = tag_space(info);
            // No branch: nobody can foresee what kind comes next.
            let has_label = usize::from(name != 0) & usize::from(space != 0);
            unlabelled[local as usize - label_count] = local;
            labelled[label_count] = local;
            label_count += has_label;
            is_odd |= has_label != 0 && name >= FIRST_LABEL;
            let label = space << NAME_BITS | name;
            if has_label != 0 { label } else { UNKNOWN }
        }));
        (!is_odd).then_some(label_count)
    }

    /// Finds the class of a type that is not the first guess, and before it those of its targets without a label.
    fn search_with_targets(
        &mut self,
        types: Verbatim<'_>,
        known: &mut KnownClasses,
        root: u32,
    ) -> Option<()> {
        self.stack.clear();
        self.stack.push(root);
        if self.search(types, known, root)? {
            return Some(());
        }
        self.references[root as usize + 1] = OPEN;
        while let Some(&top) = self.stack.last() {
            let reference = &mut self.references[top as usize + 1];
            if *reference == UNKNOWN {
                *reference = OPEN;
            }
            if *reference != OPEN
                || self.is_guessed(types, known, top)
                || self.search(types, known, top)?
            {
                self.stack.pop();
            }
        }
        Some(())
    }

    /// Whether the class of a type is that which came next before.
    fn is_guessed(&mut self, types: Verbatim<'_>, known: &mut KnownClasses, local: u32) -> bool {
        let guess = known.guess();
        let is_it = self.reads(types, local, known.reading(guess));
        if is_it {
            known.confirm(guess);
            self.set(local, guess);
        }
        is_it
    }

    /// Whether the reading of a type is that which begins at an index.
    fn reads(&self, types: Verbatim<'_>, local: u32, reading: u32) -> bool {
        let reading = known_words(&self.words).get(reading as usize..);
        let reading = reading.unwrap_or_default();
        reads(types, &self.references, types.words_at(local), reading)
    }

    /// As `is_guessed`, where the first guess is wrong: by the second one, or the key. If the classes of targets are missing, puts
    /// all of these on the stack and returns `false`.
    #[inline(never)]
    fn search(
        &mut self,
        types: Verbatim<'_>,
        known: &mut KnownClasses,
        local: u32,
    ) -> Option<bool> {
        let guess = known.second_guess();
        if self.reads(types, local, known.reading(guess)) {
            known.correct(guess);
            self.set(local, guess);
            return Some(true);
        }
        let (kind, record) = types.record(local)?;
        let Self {
            words,
            references,
            stack,
            ..
        } = self;
        let (mut is_complete, mut is_odd) = (true, false);
        for_each_type_word(kind, record.len(), |at| {
            match references.get(record[at] as usize) {
                Some(&UNKNOWN) => {
                    is_complete = false;
                    stack.push(record[at] - 1);
                }
                Some(&OPEN) | None => is_odd = true,
                Some(_) => {}
            }
        });
        if is_odd || !is_complete {
            return (!is_odd).then_some(false);
        }
        let start = words.len();
        words.extend_from_slice(record);
        let reading = &mut words[start..];
        for_each_type_word(kind, record.len(), |at| {
            reading[at] = references[record[at] as usize];
        });
        for_each_name_word(kind, record.len(), |at| {
            reading[at] = types.name(record[at]);
            is_odd |= reading[at] >= FIRST_LABEL;
        });
        if is_odd {
            words.truncate(start);
            return None;
        }
        let key = key_of(kind, &self.words[start..], |reference| match reference {
            FIRST_CLASS..FIRST_LABEL => known.key(reference - FIRST_CLASS),
            _ => contribution_of(label_of(reference)),
        });
        let index = known.search(halves(key));
        // What is beyond these has no number, or no place.
        if index >= FIRST_LABEL - FIRST_CLASS || u32_len(self.words.len()) == u32::MAX {
            self.words.truncate(start);
            return None;
        }
        let class = &mut known.all[index as usize];
        if class.reading == NO_READING {
            class.reading = u32_len(start);
        } else {
            self.words.truncate(start);
        }
        self.set(local, index);
        Some(true)
    }

    /// Says what the class of a type is, and what references to it count as.
    #[inline]
    fn set(&mut self, local: u32, index: u32) {
        self.indices[local as usize] = index;
        let reference = &mut self.references[local as usize + 1];
        if *reference < FIRST_LABEL {
            *reference = FIRST_CLASS + index;
        }
    }
}

/// The words among which readings begin: none at [`NO_READING`], so that nothing is taken for what has none.
#[inline]
fn known_words(words: &[u32]) -> &[u32] {
    &words[..words.len().min(NO_READING as usize)]
}

/// Whether as many elements as a header says are what `is_same` asks for.
#[inline]
fn elements<const N: usize>(
    info: Info,
    words: &[u32],
    known: &[u32],
    is_same: impl Fn([u32; N], [u32; N]) -> bool,
) -> bool {
    let len = info.vlen() as usize * N;
    let (Some(words), Some(known)) = (words.get(..len), known.get(..len)) else {
        return false;
    };
    let mut elements = words.as_chunks().0.iter().zip(known.as_chunks().0);
    elements.all(|(&element, &known)| is_same(element, known))
}

/// Whether the reading of the record at the start of `words` is that at the start of `reading`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a call costs as much as a short record"
)]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "one branch for each element, not one for each word"
)]
fn reads(types: Verbatim<'_>, references: &[u32], words: &[u32], reading: &[u32]) -> bool {
    let (&[own, info, third, ref rest @ ..], &[known_own, known_info, known_third, ref known @ ..]) =
        (words, reading)
    else {
        return false;
    };
    if info != known_info || types.name(own) != known_own {
        return false;
    }
    let info = Info(info);
    let name = |word: u32| types.name(word);
    // What is not known yet is no part of a reading.
    let target = |word: u32| references.get(word as usize).copied().unwrap_or(UNKNOWN);
    let Comparison {
        third_is_type,
        rest: how,
    } = COMPARISONS[info.kind_number() as usize % NUMBERS];
    let third = if third_is_type { target(third) } else { third };
    if third != known_third {
        return false;
    }
    match how {
        Rest::Nothing => true,
        Rest::NameTypeValue => elements(info, rest, known, |[n, t, v], [kn, kt, kv]| {
            (name(n) == kn) & (target(t) == kt) & (v == kv)
        }),
        Rest::NameType => elements(info, rest, known, |[n, t], [kn, kt]| {
            (name(n) == kn) & (target(t) == kt)
        }),
        Rest::NameValue => elements(info, rest, known, |[n, v], [kn, kv]| {
            (name(n) == kn) & (v == kv)
        }),
        Rest::Other => reads_other(types, references, info, rest, known),
    }
}

/// As `reads`, of what is less frequent: the words behind the header.
#[inline(never)]
fn reads_other(
    types: Verbatim<'_>,
    references: &[u32],
    info: Info,
    words: &[u32],
    known: &[u32],
) -> bool {
    let words = words.iter().zip(known).zip(word_roles(info).skip(3));
    let mut words = words.map(|((&word, &known), role)| (word, known, role));
    words.all(|(word, known, role)| match role {
        Word::Name => types.name(word) == known,
        Word::Type => references.get(word as usize) == Some(&known),
        Word::Value => word == known,
    })
}
