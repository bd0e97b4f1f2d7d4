//! The header, the places of the sections, and how the strings start and end.

use btf_core::kind::Kind;

use super::{Cases, NO, YES, since};

/// Where the fields stand in `Blob::fields`.
const TYPE_OFF: usize = 0;
const TYPE_LEN: usize = 1;
const STR_OFF: usize = 2;
const STR_LEN: usize = 3;
const LAYOUT_OFF: usize = 4;
const LAYOUT_LEN: usize = 5;

/// As long as the layout of all kinds, without saying anything.
const EMPTY_LAYOUT: [u8; 80] = [0; 80];

pub(super) fn add(cases: &mut Cases) {
    start(cases);
    lengths(cases);
    sections(cases);
    strings(cases);
    layout(cases);
}

fn start(cases: &mut Cases) {
    cases.add(
        "header-plain",
        "an integer and nothing else",
        [YES; 2],
        |_| {},
    );
    cases.add(
        "header-magic",
        "the magic number is another",
        [NO; 2],
        |b| b.start.0 = 0xeb9e,
    );
    cases.add("header-version-0", "the version is 0", [NO; 2], |b| {
        b.start.1 = 0
    });
    cases.add("header-version-2", "the version is 2", [NO; 2], |b| {
        b.start.1 = 2
    });
    cases.add("header-flags-1", "the header's flags are 1", [NO; 2], |b| {
        b.start.2 = 1
    });
    cases.add(
        "header-flags-128",
        "the header's flags are 0x80",
        [NO; 2],
        |b| b.start.2 = 0x80,
    );
    for cut in [0, 1, 7, 8, 12, 23, 24, 32, 39] {
        let about = format!("the blob ends behind {cut} bytes");
        cases.add(format!("header-cut-{cut}"), about, [NO; 2], |b| {
            b.cut = Some(cut)
        });
    }
}

fn lengths(cases: &mut Cases) {
    for len in [0, 8, 20, 23, 25, 0x7fff_ffff, u32::MAX] {
        let about = format!("the header says that it has {len} bytes, and has 24");
        cases.add(format!("header-length-{len}"), about, [NO; 2], |b| {
            b.hdr_len = len
        });
    }
    cases.add(
        "header-length-28",
        "a header of 28 bytes, the unknown ones 0",
        [YES; 2],
        |b| {
            b.hdr_len = 28;
            b.header_tail = vec![0; 4];
        },
    );
    cases.add(
        "header-length-32",
        "a header of 32 bytes, without a layout",
        [YES; 2],
        |b| b.hdr_len = 32,
    );
    cases.add(
        "header-length-40",
        "a header of 40 bytes, the unknown ones 0",
        [YES; 2],
        |b| {
            b.hdr_len = 40;
            b.header_tail = vec![0; 8];
        },
    );
    cases.add(
        "header-unknown-40",
        "a header of 40 bytes, of which the last is 1",
        [NO; 2],
        |b| {
            b.hdr_len = 40;
            b.header_tail = vec![0, 0, 0, 0, 0, 0, 0, 1];
        },
    );
    cases.add(
        "header-unknown-28",
        "a header of 28 bytes, whose last is 1: a part of the layout's offset, which counts with a layout only",
        [since(7, 1); 2],
        |b| {
            b.hdr_len = 28;
            b.header_tail = vec![0, 0, 0, 1];
        },
    );
    cases.add(
        "header-layout-offset-alone",
        "a header of 32 bytes with an offset of a layout section that is empty",
        [since(7, 1); 2],
        |b| {
            b.hdr_len = 32;
            b.fields[LAYOUT_OFF] = Some(16);
        },
    );
    cases.add_bare(
        "header-no-data",
        "nothing behind the header",
        [NO; 2],
        |b| {
            b.strings.clear();
        },
    );
}

fn sections(cases: &mut Cases) {
    cases.add(
        "section-gap",
        "four bytes between types and strings",
        [NO; 2],
        |b| b.gap = 4,
    );
    cases.add(
        "section-trailing",
        "four bytes behind the strings",
        [NO; 2],
        |b| b.trailing = 4,
    );
    cases.add(
        "section-trailing-1",
        "a byte behind the strings",
        [NO; 2],
        |b| b.trailing = 1,
    );
    cases.add(
        "section-strings-first",
        "the strings stand in front of the types",
        [NO; 2],
        |b| {
            // So that the types are aligned.
            b.strings.resize(8, 0);
            b.has_strings_first = true;
        },
    );
    cases.add(
        "section-strings-first-32",
        "the strings stand in front of the types, behind a header of 32 bytes",
        [since(7, 1); 2],
        |b| {
            b.strings.resize(8, 0);
            b.has_strings_first = true;
            b.hdr_len = 32;
        },
    );
    let changes: [(&str, &str, usize, u32); 11] = [
        (
            "types-start-4",
            "the types start 4 bytes later",
            TYPE_OFF,
            4,
        ),
        (
            "types-start-2",
            "the types start 2 bytes later",
            TYPE_OFF,
            2,
        ),
        (
            "types-outside",
            "the types start behind the blob",
            TYPE_OFF,
            0x1000,
        ),
        ("types-short", "the types end inside a record", TYPE_LEN, 12),
        (
            "types-empty",
            "there are no types in front of the strings",
            TYPE_LEN,
            0,
        ),
        ("types-long", "the types end in the strings", TYPE_LEN, 20),
        (
            "types-huge",
            "the types have 2^32 - 4 bytes",
            TYPE_LEN,
            0xffff_fffc,
        ),
        (
            "strings-start-0",
            "the strings start where the types do",
            STR_OFF,
            0,
        ),
        (
            "strings-start-12",
            "the strings start inside a record",
            STR_OFF,
            12,
        ),
        (
            "strings-long",
            "the strings end behind the blob",
            STR_LEN,
            6,
        ),
        (
            "strings-huge",
            "the strings have 2^32 - 1 bytes",
            STR_LEN,
            u32::MAX,
        ),
    ];
    for (name, about, field, value) in changes {
        cases.add(format!("section-{name}"), about, [NO; 2], |b| {
            b.fields[field] = Some(value)
        });
    }
    cases.add_bare("types-none", "only the empty string", [NO, YES], |_| {});
    cases.add(
        "types-cut-4",
        "four bytes behind the last record",
        [NO; 2],
        |b| b.words.push(0),
    );
    cases.add(
        "types-cut-8",
        "eight bytes behind the last record",
        [NO; 2],
        |b| b.words.extend([0; 2]),
    );
}

fn strings(cases: &mut Cases) {
    cases.add(
        "strings-not-ended",
        "the last string does not end",
        [NO; 2],
        |b| {
            b.strings.pop();
        },
    );
    cases.add(
        "strings-no-empty-one",
        "the first string is not the empty one",
        [NO; 2],
        |b| {
            b.strings[0] = b'x';
        },
    );
    cases.add_bare(
        "strings-none",
        "an integer without a name, and no strings",
        [NO; 2],
        |b| {
            b.strings.clear();
            b.raw(0, Kind::Int, 0, 4, &[32]);
        },
    );
    cases.add_bare(
        "strings-only-empty",
        "an integer without a name",
        [YES; 2],
        |b| {
            b.raw(0, Kind::Int, 0, 4, &[32]);
        },
    );
    cases.add(
        "strings-unused",
        "a string that nothing uses",
        [YES; 2],
        |b| {
            b.name("unused");
        },
    );
    cases.add(
        "strings-shared-end",
        "a name that is the end of another one",
        [YES; 2],
        |b| {
            let name = b.name("unsigned_int");
            b.raw(name + 9, Kind::Int, 0, 4, &[32]);
        },
    );
    cases.add(
        "strings-twice",
        "the same name in two strings",
        [YES; 2],
        |b| {
            b.int("int");
        },
    );
}

fn layout(cases: &mut Cases) {
    let known = [since(7, 1); 2];
    cases.add("layout-of-all-kinds", "a layout section", known, |b| {
        b.hdr_len = 32;
        let entries = btf_core::wire::LayoutEntry::known();
        b.layout = entries
            .iter()
            .flat_map(|entry| entry.bytes(btf_core::ByteOrder::Little))
            .collect();
    });
    cases.add(
        "layout-one-entry",
        "a layout section with one entry",
        known,
        |b| {
            b.hdr_len = 32;
            b.layout = vec![0; 4];
        },
    );
    cases.add(
        "layout-wrong",
        "a layout section that says that no record has elements",
        known,
        |b| {
            b.hdr_len = 32;
            b.layout = EMPTY_LAYOUT.to_vec();
        },
    );
    // Only of users' BTF does the kernel look into the section.
    cases.add(
        "layout-length-3",
        "a layout section of three bytes",
        [NO, since(7, 1)],
        |b| {
            b.hdr_len = 32;
            b.layout = vec![0; 3];
        },
    );
    cases.add(
        "layout-length-6",
        "a layout section of six bytes",
        [NO, since(7, 1)],
        |b| {
            b.hdr_len = 32;
            b.layout = vec![0; 6];
        },
    );
    cases.add(
        "layout-unaligned",
        "a layout section behind the strings, not aligned",
        [NO, since(7, 1)],
        |b| {
            b.hdr_len = 32;
            b.layout = vec![0; 4];
            b.strings.swap_remove(0);
            b.strings = b"\0int\0\0\0\0\0".to_vec();
            b.has_strings_first = false;
            b.fields[STR_OFF] = Some(16);
            b.fields[STR_LEN] = Some(5);
            b.fields[LAYOUT_OFF] = Some(21);
            b.fields[LAYOUT_LEN] = Some(8);
        },
    );
    cases.add(
        "layout-outside",
        "a layout section that ends behind the blob",
        [NO; 2],
        |b| {
            b.hdr_len = 32;
            b.layout = vec![0; 4];
            b.fields[LAYOUT_LEN] = Some(0x1000);
        },
    );
    cases.add(
        "layout-overlap",
        "a layout section inside the types",
        [NO; 2],
        |b| {
            b.hdr_len = 32;
            b.fields[LAYOUT_OFF] = Some(0);
            b.fields[LAYOUT_LEN] = Some(4);
        },
    );
}
