//! BTF that nobody would write, from a fixed seed: random graphs whose records are right one by one, and damaged blobs.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "random records, of which the rest is as good"
)]

mod special;

use btf_core::kind::{Kind, Word};
use btf_core::wire::{ByteOrder, Header, Info};

use crate::random::Random;

pub use special::special;

/// Names that records use: some are wrong for most kinds.
const NAMES: &str = "\0int\0a\0b\0next\0.data\0_x.1\09bad\0two words\0?.struct_ops\0kptr\0\u{7f}\0";

/// A raw blob of these words and strings, in the byte order of this machine.
#[must_use]
pub fn blob(words: &[u32], strings: &[u8]) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let header = Header {
        hdr_len: btf_core::wire::HEADER_LEN,
        type_len: len(words.len() * 4),
        str_off: len(words.len() * 4),
        str_len: len(strings.len()),
        ..Header::default()
    };
    let mut bytes = Vec::new();
    header.put(ByteOrder::NATIVE, &mut bytes);
    ByteOrder::NATIVE.put_words(words, &mut bytes);
    bytes.extend_from_slice(strings);
    bytes
}

/// A graph of up to `max_types` types whose kinds refer to each other at random, most of them as they may.
#[must_use]
pub fn graph(random: &mut Random, max_types: usize) -> Vec<u8> {
    let count = 1 + random.below(max_types);
    // Each blob has some of the kinds only, so that long chains of one kind come up.
    let kinds: Vec<Kind> = (0..=random.below(6))
        .map(|_| Kind::ALL[random.below(Kind::ALL.len())])
        .collect();
    let kinds: Vec<Kind> = (0..count)
        .map(|_| {
            if random.below(8) == 0 {
                Kind::Int
            } else {
                kinds[random.below(kinds.len())]
            }
        })
        .collect();
    let mut words = Vec::new();
    for kind in &kinds {
        record(random, *kind, &kinds, &mut words);
    }
    blob(&words, NAMES.as_bytes())
}

/// Appends a record that the kernel takes as far as it can be told from the record alone, most of the time.
fn record(random: &mut Random, kind: Kind, kinds: &[Kind], out: &mut Vec<u32>) {
    let careless = random.below(60) == 0;
    let vlen = match kind {
        Kind::Func => random.below(2),
        _ if kind.info().element.is_empty() => usize::from(careless),
        _ => random.below(4),
    };
    let flag = (kind.info().has_kind_flag && random.below(3) == 0) || random.below(200) == 0;
    let vlen = u32::try_from(vlen).unwrap_or(0);
    let start = out.len();
    let name = if careless { 0 } else { name_of(kind) };
    let third = match kind {
        Kind::Int => 4,
        Kind::Struct | Kind::Union => small(random, 5) * 8,
        Kind::Enum | Kind::Enum64 => 1 << small(random, 4),
        Kind::Datasec => 64,
        Kind::Float => [2, 4, 8, 12, 16][random.below(5)],
        Kind::Array | Kind::Fwd => 0,
        _ => target(random, kind, kinds),
    };
    out.extend([name, Info::new(kind, vlen, flag).0, third]);
    match kind {
        Kind::Int => {
            let bits = if random.below(6) == 0 { 5 } else { 32 };
            out.push(u32::from(random.below(2) == 0) << 24 | bits);
        }
        Kind::Array => {
            let (element, index) = (
                target(random, kind, kinds),
                target(random, Kind::Var, kinds),
            );
            // Most indices are a plain integer, which is the first type more often than not.
            let index = if random.below(4) == 0 {
                index
            } else {
                first_int(kinds)
            };
            out.extend([element, index, small(random, 6)]);
        }
        Kind::Var => out.push(small(random, 2)),
        Kind::DeclTag => out.push(small(random, 3).wrapping_sub(1)),
        Kind::Datasec => {
            for index in 0..vlen {
                out.extend([target(random, kind, kinds), index * 16, 16]);
            }
        }
        _ => elements(random, kind, vlen, flag, kinds, out),
    }
    if random.below(100) == 0 {
        let at = start + random.below(out.len() - start);
        out[at] ^= 1 << random.below(32);
    }
}

/// The elements of structures, enumerations and prototypes.
fn elements(
    random: &mut Random,
    kind: Kind,
    vlen: u32,
    flag: bool,
    kinds: &[Kind],
    out: &mut Vec<u32>,
) {
    let is_union = kind == Kind::Union;
    let mut offset = 0;
    for index in 0..vlen {
        for (place, word) in kind.info().element.iter().enumerate() {
            out.push(match word {
                Word::Name if kind == Kind::FuncProto && random.below(3) == 0 => 0,
                Word::Name => 5 + 2 * small(random, 2),
                Word::Type if kind == Kind::FuncProto && index + 1 == vlen => {
                    small(random, 2) * target(random, kind, kinds)
                }
                Word::Type => target(random, kind, kinds),
                Word::Value if place == 2 && matches!(kind, Kind::Struct | Kind::Union) => {
                    let bits = if flag && random.below(2) == 0 {
                        small(random, 40) << 24
                    } else {
                        0
                    };
                    offset += if is_union { 0 } else { small(random, 5) * 16 };
                    bits | offset
                }
                Word::Value => small(random, 100),
            });
        }
    }
}

/// A number below `end`.
fn small(random: &mut Random, end: usize) -> u32 {
    u32::try_from(random.below(end)).unwrap_or(0)
}

fn first_int(kinds: &[Kind]) -> u32 {
    let index = kinds.iter().position(|&kind| kind == Kind::Int);
    u32::try_from(index.map_or(1, |index| index + 1)).unwrap_or(1)
}

/// A type that `kind` may refer to, most of the time.
fn target(random: &mut Random, kind: Kind, kinds: &[Kind]) -> u32 {
    let fits = |to: Kind| match kind {
        Kind::Func => to == Kind::FuncProto,
        Kind::Datasec => to == Kind::Var,
        Kind::DeclTag => matches!(to, Kind::Struct | Kind::Func | Kind::Var | Kind::Typedef),
        Kind::Ptr | Kind::Typedef | Kind::Const => {
            !matches!(to, Kind::Var | Kind::Datasec | Kind::DeclTag)
        }
        _ => !matches!(
            to,
            Kind::Var | Kind::Datasec | Kind::DeclTag | Kind::Fwd | Kind::Func | Kind::FuncProto
        ),
    };
    for _ in 0..8 {
        let index = random.below(kinds.len());
        if fits(kinds[index]) {
            return u32::try_from(index + 1).unwrap_or(0);
        }
    }
    small(random, kinds.len() + 2)
}

/// The offset in [`NAMES`] of a name that the kind may have.
fn name_of(kind: Kind) -> u32 {
    match kind {
        Kind::Ptr
        | Kind::Array
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::FuncProto => 0,
        Kind::Datasec => 14,
        _ => 5,
    }
}

/// A blob with one to three words, of its header or its types, changed to something that means something.
#[must_use]
pub fn damage(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        if random.below(4) == 0 {
            random.spoil(&mut bytes);
            continue;
        }
        // Most of the words of a small blob are those of its types.
        let words = bytes.len() / 4;
        let at = 4 * random.below(words.max(1));
        let Some(word) = bytes
            .get_mut(at..)
            .and_then(|rest| rest.first_chunk_mut::<4>())
        else {
            continue;
        };
        let value = ByteOrder::NATIVE.u32(*word);
        let value = match random.below(7) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 => small(random, 24),
            3 => value ^ (1 << random.below(32)),
            4 => (value & 0x80ff_ffff) | small(random, 21) << 24,
            5 => value.wrapping_mul(2),
            _ => 0,
        };
        *word = ByteOrder::NATIVE.u32_bytes(value);
    }
    if random.below(16) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}
