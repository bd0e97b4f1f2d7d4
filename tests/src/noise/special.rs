//! Structures with special fields, most of them nearly right: locks, lists, trees, kptrs, alone, nested and in arrays.

use btf_core::kind::Kind;
use btf_core::wire::Info;

use super::{blob, small};
use crate::random::Random;

/// What may be a member: the special structures with their sizes, of which the kernel seeks some in a user's BTF.
const SPECIAL: [(&str, u32); 10] = [
    ("bpf_spin_lock", 4),
    ("bpf_list_head", 16),
    ("bpf_list_node", 24),
    ("bpf_rb_root", 16),
    ("bpf_rb_node", 32),
    ("bpf_refcount", 4),
    ("bpf_res_spin_lock", 4),
    ("bpf_timer", 16),
    ("bpf_wq", 16),
    ("bpf_task_work", 8),
];

/// The tags of pointers, some more often than others.
const TAGS: [&str; 8] = [
    "kptr",
    "kptr",
    "percpu_kptr",
    "kptr_untrusted",
    "kptr_untrusted",
    "uptr",
    "user",
    "",
];

/// The largest number of structures that refer to each other.
const STRUCTURES: usize = 6;

/// A blob that is being written.
#[derive(Default)]
struct Writer {
    words: Vec<u32>,
    strings: Vec<u8>,
    /// The size of each type, from type 0 on.
    sizes: Vec<u32>,
}

impl Writer {
    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let offset = u32::try_from(self.strings.len()).unwrap_or(0);
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        offset
    }

    fn next_id(&self) -> u32 {
        u32::try_from(self.sizes.len()).unwrap_or(0)
    }

    /// Adds a record; returns its id.
    fn add(&mut self, name: &str, info: Info, third: u32, rest: &[u32], size: u32) -> u32 {
        let name = self.name(name);
        self.words.extend([name, info.0, third]);
        self.words.extend(rest);
        self.sizes.push(size);
        self.next_id() - 1
    }

    fn size(&self, id: u32) -> u32 {
        self.sizes.get(id as usize).copied().unwrap_or(0)
    }
}

/// A blob with special fields, in which nothing else is wrong.
#[must_use]
pub fn special(random: &mut Random) -> Vec<u8> {
    let mut w = Writer {
        strings: vec![0],
        sizes: vec![0],
        ..Writer::default()
    };
    let int = w.add("int", Info::new(Kind::Int, 0, false), 4, &[32], 4);
    // One blob in three is nearly right.
    let is_careful = random.below(3) == 0;
    let mut parts = vec![int];
    for (name, size) in SPECIAL {
        parts.push(special_structure(random, &mut w, name, size, is_careful));
    }
    let first = parts.clone();
    // The structures come behind the pointers to them, one after the other, with some types between.
    let mut structures: Vec<u32> = Vec::new();
    for index in 0..=random.below(STRUCTURES) {
        if random.below(2) == 0 {
            let place = w.next_id();
            let target = match random.below(8) {
                // The special structures are the kernel's own, of which it knows whether they have destructors.
                0 => Some(random_of(random, &parts))
                    .filter(|part| !first.contains(part))
                    .unwrap_or(int),
                1 => int,
                // The structure that follows, if nothing comes between; so structures own themselves.
                2 => place + 2,
                _ => structures.last().copied().unwrap_or(int),
            };
            parts.push(pointer(random, &mut w, target));
        }
        if random.below(3) == 0 {
            let element = random_of(random, &parts);
            parts.push(array(random, &mut w, element));
        }
        let id = structure(random, &mut w, index, &first, &parts, is_careful);
        structures.push(id);
        parts.push(id);
    }
    blob(&w.words, &w.strings)
}

fn random_of(random: &mut Random, ids: &[u32]) -> u32 {
    ids.get(random.below(ids.len())).copied().unwrap_or(1)
}

/// One of the special structures, or something else of its name.
fn special_structure(
    random: &mut Random,
    w: &mut Writer,
    name: &str,
    size: u32,
    is_careful: bool,
) -> u32 {
    if !is_careful && random.below(25) == 0 {
        return match random.below(3) {
            0 => w.add(name, Info::new(Kind::Typedef, 0, false), 1, &[], 4),
            1 => w.add(name, Info::new(Kind::Int, 0, false), 4, &[32], 4),
            _ => w.add(name, Info::new(Kind::Union, 0, false), size, &[], size),
        };
    }
    let size = if !is_careful && random.below(25) == 0 {
        size + 8
    } else {
        size
    };
    let value = w.name("value");
    let info = Info::new(Kind::Struct, 1, random.below(12) == 0);
    w.add(name, info, size, &[value, 1, 0], size)
}

/// A pointer with tags, mostly one.
fn pointer(random: &mut Random, w: &mut Writer, target: u32) -> u32 {
    let tags = [1, 1, 1, 1, 1, 2, 3, 0][random.below(8)];
    let count = tags + usize::from(random.below(6) == 0);
    // Tags stand in front of what they are for, and refer to what stands behind, up to the pointer.
    let start = w.next_id();
    let mut last = if target == start + 2 {
        start + u32::try_from(count + 1).unwrap_or(0)
    } else {
        target
    };
    for index in 0..count {
        last = if index >= tags {
            w.add("", Info::new(Kind::Const, 0, false), last, &[], 0)
        } else {
            let tag = TAGS[random.below(TAGS.len() - 1)];
            let info = Info::new(Kind::TypeTag, 0, random.below(12) == 0);
            w.add(tag, info, last, &[], 0)
        };
    }
    let id = w.add("", Info::new(Kind::Ptr, 0, false), last, &[], 8);
    match random.below(12) {
        0 => w.add("", Info::new(Kind::Volatile, 0, false), id, &[], 8),
        1 => w.add("", Info::new(Kind::Const, 0, false), id, &[], 8),
        _ => id,
    }
}

fn array(random: &mut Random, w: &mut Writer, element: u32) -> u32 {
    let count = [0, 1, 2, 2, 3, 5, 12][random.below(7)];
    let size = w.size(element) * count;
    let info = Info::new(Kind::Array, 0, false);
    w.add("", info, 0, &[element, 1, count], size)
}

/// A structure and the tags of its members.
fn structure(
    random: &mut Random,
    w: &mut Writer,
    index: usize,
    special: &[u32],
    parts: &[u32],
    is_careful: bool,
) -> u32 {
    let mut members = Vec::new();
    // A lock, a list or a tree, a node: what belongs together.
    for wanted in [&[1, 1, 7, 1][..], &[2, 4], &[3, 5], &[6]] {
        if random.below(2) == 0 || (is_careful && wanted.len() == 4) {
            members.push(special[wanted[random.below(wanted.len())]]);
        }
    }
    for _ in 0..random.below(4) {
        members.push(random_of(random, parts));
    }
    for at in (1..members.len()).rev() {
        members.swap(at, random.below(at + 1));
    }
    let mut end = 0;
    let mut words = Vec::new();
    let has_flag = random.below(8) == 0;
    for (at, &member) in members.iter().enumerate() {
        let size = w.size(member);
        let mut offset = if size.is_multiple_of(8) {
            u32::div_ceil(end, 8) * 8
        } else {
            end
        };
        let mut start = end;
        if !is_careful && random.below(20) == 0 {
            offset += 4;
        } else if !is_careful && random.below(20) == 0 && at > 0 {
            start = words.last().map_or(0, |&bits: &u32| bits / 8);
            offset = start;
        }
        let bits = if has_flag && member == 1 && random.below(3) == 0 {
            4 << 24 | (offset * 8 + small(random, 9))
        } else {
            offset * 8
        };
        end = start.max(offset + size).max(end);
        let label = if random.below(30) == 0 { 0 } else { at };
        let name = w.name(&format!("n{label}"));
        words.extend([name, member, bits]);
    }
    let vlen = u32::try_from(members.len()).unwrap_or(0);
    let size = u32::div_ceil(end, 8) * 8 + 8;
    let name = match random.below(20) {
        0 => String::new(),
        1 => "s0".to_owned(),
        _ => format!("s{index}"),
    };
    let info = Info::new(Kind::Struct, vlen, has_flag);
    let id = w.add(&name, info, size, &words, size);
    tags(random, w, id, &members, special, is_careful);
    id
}

/// Says of the members that are lists or trees what they contain.
fn tags(
    random: &mut Random,
    w: &mut Writer,
    id: u32,
    members: &[u32],
    special: &[u32],
    is_careful: bool,
) {
    for (at, &member) in members.iter().enumerate() {
        let is_root = member == special[2] || member == special[4];
        let is_missing = if is_root {
            !is_careful && random.below(15) == 0
        } else {
            random.below(6) != 0
        };
        if is_missing {
            continue;
        }
        let component = u32::try_from(at).unwrap_or(0);
        for _ in 0..=usize::from(!is_careful && random.below(20) == 0) {
            let value = random.below(STRUCTURES);
            let node = random.below(5);
            let text = match random.below(25) {
                0 => format!("contains:s{value}"),
                1 => format!("contains:s{value}:"),
                2 => format!("contains::n{node}"),
                3 => format!("contain:s{value}:n{node}"),
                _ => format!("contains:s{value}:n{node}"),
            };
            let info = Info::new(Kind::DeclTag, 0, random.below(20) == 0);
            w.add(&text, info, id, &[component], 0);
        }
    }
}
