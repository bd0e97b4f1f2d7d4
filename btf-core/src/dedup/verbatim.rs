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

use super::classes::{KnownClasses, NO_READING, halves};
use super::fragment::{for_each_name_word, for_each_type_word, u32_len};
use super::key::{Label, contribution_of, key_of, tag_space};
use crate::kind::{Kind, Word};
use crate::refs::word_roles;
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
    /// The words of the `local`-th type (from 0).
    #[inline]
    fn words(&self, local: u32) -> Option<&'a [u32]> {
        let [start, end] = *self.starts.get(local as usize..)?.first_chunk()?;
        self.words.get(start as usize..end as usize)
    }

    /// The kind and the words of the `local`-th type, if it is whole.
    pub(super) fn record(&self, local: u32) -> Option<(Kind, &'a [u32])> {
        let record = self.words(local)?;
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

/// What a reference counts as: that is not known yet; it is being found out; `void`.
const UNKNOWN: u32 = 0;
const OPEN: u32 = 1;
const VOID: u32 = 2;
/// From here on the index among the known of a class without a label.
const FIRST_CLASS: u32 = 3;
/// From here on a label: its upper half in the two upper bits, the name below.
const FIRST_LABEL: u32 = 1 << NAME_BITS;
const NAME_BITS: u32 = 30;

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

/// The readings of the classes that a thread has met, and the types of the fragment that is being read.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// All readings, one behind the other.
    words: Vec<u32>,
    /// What a reference to each local id counts as.
    references: Vec<u32>,
    /// For each type the index of its class among the known.
    pub(super) indices: Vec<u32>,
    stack: Vec<u32>,
}

impl Readings {
    /// Finds the classes of all types; `None` if that is not possible.
    pub(super) fn read(&mut self, types: Verbatim<'_>, known: &mut KnownClasses) -> Option<()> {
        self.begin(types)?;
        let count = u32_len(self.indices.len());
        for local in 0..count {
            if self.references[local as usize + 1] == UNKNOWN {
                self.find_with_targets(types, known, local)?;
            }
        }
        // All that the others refer to is known by now.
        for local in 0..count {
            if self.references[local as usize + 1] >= FIRST_LABEL {
                self.find(types, known, local)?;
            }
        }
        Some(())
    }

    /// The words of the reading that begins at an index.
    pub(super) fn record(&self, reading: u32, len: usize) -> &[u32] {
        &self.words[reading as usize..reading as usize + len]
    }

    /// The label of the `local`-th type of the fragment that was read last.
    pub(super) fn label(&self, local: u32) -> Label {
        label_of(self.references[local as usize + 1])
    }

    /// Finds the labels of all types.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "a branch would go wrong: nobody can foresee what kind comes next"
    )]
    fn begin(&mut self, types: Verbatim<'_>) -> Option<()> {
        let (_, starts) = types.starts.split_last()?;
        let mut is_odd = false;
        let reference = |&start: &u32| {
            let head = types
                .words
                .get(start as usize..)
                .and_then(<[u32]>::first_chunk);
            let &[name, info] = head.unwrap_or(&[0; 2]);
            let (name, space) = (types.name(name), tag_space(Info(info)));
            let has_label = (name != 0) & (space != 0);
            is_odd |= has_label & (name >= FIRST_LABEL);
            if has_label {
                space << NAME_BITS | name
            } else {
                UNKNOWN
            }
        };
        self.references.clear();
        self.references.push(VOID);
        self.references.extend(starts.iter().map(reference));
        self.indices.clear();
        self.indices.resize(starts.len(), 0);
        (!is_odd).then_some(())
    }

    /// Finds the class of a type without a label, and before it those of its targets.
    #[inline]
    fn find_with_targets(
        &mut self,
        types: Verbatim<'_>,
        known: &mut KnownClasses,
        root: u32,
    ) -> Option<()> {
        self.stack.clear();
        self.stack.push(root);
        // Most types refer to what has a label or stood before.
        if self.find(types, known, root)? {
            return Some(());
        }
        self.references[root as usize + 1] = OPEN;
        while let Some(&top) = self.stack.last() {
            let reference = &mut self.references[top as usize + 1];
            if *reference == UNKNOWN {
                *reference = OPEN;
            }
            if *reference != OPEN || self.find(types, known, top)? {
                self.stack.pop();
            }
        }
        Some(())
    }

    /// Finds the class of a type. If those of targets are missing, puts all of these on the stack and returns `false`.
    #[inline]
    fn find(&mut self, types: Verbatim<'_>, known: &mut KnownClasses, local: u32) -> Option<bool> {
        let [guess, _] = known.guesses();
        if self.reads(types, types.words(local)?, known.reading(guess)) {
            known.confirm(guess);
            self.set(local, guess);
            return Some(true);
        }
        self.search(types, known, local)
    }

    /// Whether a record's reading is that which begins at an index.
    #[inline]
    fn reads(&self, types: Verbatim<'_>, record: &[u32], reading: u32) -> bool {
        let reading = self.words.get(reading as usize..).unwrap_or_default();
        let name = |word: u32, known: u32| types.name(word) == known;
        let target = |word: u32, known: u32| {
            let reference = self.references.get(word as usize);
            reference.is_some_and(|&reference| reference == known)
        };
        let (Some((head, rest)), Some((known_head, known_rest))) =
            (record.split_first_chunk(), reading.split_first_chunk())
        else {
            return false;
        };
        let (&[own, info, third], &[known_own, known_info, known_third]) = (head, known_head);
        let Some(kind) = Info(info)
            .kind()
            .filter(|_| info == known_info && name(own, known_own))
        else {
            return false;
        };
        let is_third = if kind.third_is_type() {
            target(third, known_third)
        } else {
            third == known_third
        };
        is_third
            && match kind {
                Kind::Struct | Kind::Union => elements(
                    rest,
                    known_rest,
                    |[n, t, v], [known_n, known_t, known_v]| {
                        name(n, known_n) && target(t, known_t) && v == known_v
                    },
                ),
                Kind::FuncProto => elements(rest, known_rest, |[n, t], [known_n, known_t]| {
                    name(n, known_n) && target(t, known_t)
                }),
                Kind::Enum => elements(rest, known_rest, |[n, v], [known_n, known_v]| {
                    name(n, known_n) && v == known_v
                }),
                Kind::Ptr
                | Kind::Fwd
                | Kind::Typedef
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::Func
                | Kind::Float
                | Kind::TypeTag => true,
                Kind::Int
                | Kind::Array
                | Kind::Var
                | Kind::Datasec
                | Kind::DeclTag
                | Kind::Enum64 => {
                    let words = rest.iter().zip(known_rest);
                    let mut words = words.zip(word_roles(Info(info)).skip(head.len()));
                    words.all(|((&word, &known), role)| match role {
                        Word::Name => name(word, known),
                        Word::Type => target(word, known),
                        Word::Value => word == known,
                    })
                }
            }
    }

    /// As `find`, where the first guess is wrong: by the second one, or the key.
    #[inline(never)]
    fn search(
        &mut self,
        types: Verbatim<'_>,
        known: &mut KnownClasses,
        local: u32,
    ) -> Option<bool> {
        let [_, guess] = known.guesses();
        if self.reads(types, types.words(local)?, known.reading(guess)) {
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
        let start = words.len();
        words.extend_from_slice(record);
        let reading = &mut words[start..];
        let (mut is_complete, mut is_odd) = (true, false);
        for_each_type_word(kind, record.len(), |at| {
            match references.get(record[at] as usize) {
                Some(&UNKNOWN) => {
                    is_complete = false;
                    stack.push(record[at] - 1);
                }
                Some(&OPEN) | None => is_odd = true,
                Some(&reference) => reading[at] = reference,
            }
        });
        if is_odd || !is_complete {
            words.truncate(start);
            return (!is_odd).then_some(false);
        }
        for_each_name_word(kind, record.len(), |at| {
            reading[at] = types.name(record[at]);
            is_odd |= reading[at] >= FIRST_LABEL;
        });
        if is_odd {
            words.truncate(start);
            return None;
        }
        let key = key_of(kind, &self.words[start..], |reference| match reference {
            FIRST_CLASS..FIRST_LABEL => known.all[(reference - FIRST_CLASS) as usize].key(),
            _ => contribution_of(label_of(reference)),
        });
        let index = known.search(halves(key));
        let class = &mut known.all[index as usize];
        if class.reading == NO_READING {
            class.reading = u32_len(start);
        } else {
            self.words.truncate(start);
        }
        if index >= FIRST_LABEL - FIRST_CLASS || u32_len(self.words.len()) == u32::MAX {
            return None;
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

/// Whether all elements of so many words are what `is_same` asks for; `known` has no fewer.
#[inline]
fn elements<const N: usize>(
    rest: &[u32],
    known: &[u32],
    is_same: impl Fn([u32; N], [u32; N]) -> bool,
) -> bool {
    let (elements, _) = rest.as_chunks::<N>();
    let (known, _) = known.as_chunks::<N>();
    let mut elements = elements.iter().zip(known);
    elements.all(|(&element, &known)| is_same(element, known))
}
