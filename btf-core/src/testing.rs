//! What the tests of several modules share: bytes written by hand, and numbers from a fixed seed.

use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::wire::{ByteOrder, Info, MAGIC};

pub(crate) const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// BTF assembled field by field, independently of the builder, with every field open to abuse.
pub(crate) struct Blob {
    pub(crate) order: ByteOrder,
    pub(crate) header_len: u32,
    pub(crate) words: Vec<u32>,
    pub(crate) layout: Vec<[u8; 4]>,
    pub(crate) strings: Vec<u8>,
    /// Bytes between the type section and what follows.
    pub(crate) gap: u32,
}

impl Blob {
    pub(crate) fn new(order: ByteOrder) -> Self {
        Self {
            order,
            header_len: 24,
            words: Vec::new(),
            layout: Vec::new(),
            strings: vec![0],
            gap: 0,
        }
    }

    pub(crate) fn name(&mut self, name: &str) -> u32 {
        let offset = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(name.bytes());
        self.strings.push(0);
        offset
    }

    /// A record with the words of its kind behind `third`.
    pub(crate) fn record(&mut self, name: u32, info: Info, third: u32, rest: &[u32]) -> &mut Self {
        self.words.extend([name, info.0, third]);
        self.words.extend(rest);
        self
    }

    /// `int`, which is the usual first type.
    pub(crate) fn int(&mut self) -> &mut Self {
        let name = self.name("int");
        self.record(name, Info::new(Kind::Int, 0, false), 4, &[1 << 24 | 32])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let len = |len: usize| u32::try_from(len).unwrap();
        let types = len(self.words.len()) * 4;
        let layout = len(self.layout.len()) * 4;
        let behind = types + self.gap;
        let mut header = vec![
            self.header_len,
            0,
            types,
            behind + layout,
            len(self.strings.len()),
        ];
        if layout > 0 {
            header.extend([behind, layout]);
        }
        let mut out = Vec::new();
        out.extend(self.order.u16_bytes(MAGIC));
        out.extend([1, 0]);
        self.order.put_words(&header, &mut out);
        out.resize(self.header_len as usize, 0);
        self.order.put_words(&self.words, &mut out);
        out.resize(out.len() + self.gap as usize, 0);
        out.extend(self.layout.iter().flatten());
        out.extend(&self.strings);
        out
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).unwrap()
    }
}

/// A record of any kind whose ids are below `end_id` and whose names are among `names`.
pub(crate) fn random_record(random: &mut Random, end_id: u32, names: &[StrOffset]) -> Vec<u32> {
    use crate::kind::Word;
    let kind = Kind::ALL[random.below(19) as usize];
    let vlen = if kind == Kind::Func {
        random.below(3)
    } else if kind.info().element.is_empty() {
        0
    } else {
        random.below(6)
    };
    let flag = kind.info().has_kind_flag && random.below(2) == 1;
    let info = Info::new(kind, vlen, flag);
    let mut record = Vec::new();
    for role in crate::refs::word_roles(info) {
        record.push(match role {
            Word::Name => names[random.below(u32::try_from(names.len()).unwrap()) as usize].0,
            Word::Type => TypeId(random.below(end_id)).0,
            Word::Value => random.below(64),
        });
    }
    record[1] = info.0;
    record
}
