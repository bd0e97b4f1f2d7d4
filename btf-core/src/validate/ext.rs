//! Checks `.BTF.ext` against the types beside it, by the rules of libbpf, which reads it, and of the kernel, which gets
//! the records of each program.
//!
//! Spec: Documentation/bpf/btf.rst, 4.2 "`.BTF.ext` section"; `Documentation/bpf/llvm_reloc.rst`, "CO-RE Relocations".

use super::{Finding, Report, Rule, Target};
use crate::ext::{BtfExt, Part, is_header_only, parts};
use crate::graph::strip_modifiers;
use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::reader::Btf;
use crate::types::Type;
use crate::wire::Info;

/// The length of an instruction in bytes.
const INSTRUCTION_LEN: u32 = 8;

/// The largest number of a kind of CO-RE relocation, "type matches".
const MAX_CORE_KIND: u32 = 12;

/// The largest number of members that libbpf follows (`BPF_CORE_SPEC_MAX_LEN`).
const MAX_ACCESS_LEN: usize = 64;

/// Checks the bytes of the section; the findings are in the order of the lists.
#[must_use]
pub fn check_ext(bytes: &[u8], btf: &Btf, target: Target) -> Vec<Finding> {
    let mut report = Report::new(target);
    let lists = BtfExt::parse(bytes).and_then(|_| parts(bytes));
    if is_header_only(bytes) {
        report.add_at(Rule::ExtEmpty, Some(bytes.len() as u64), 0u32);
    }
    let [func_info, line_info, core_relo] = match lists {
        Ok(lists) => lists,
        Err(error) => {
            let offset = error.location().offset;
            report.add_at(Rule::ExtFormat, offset, 0u32);
            return report.findings;
        }
    };
    let mut check = Check { btf, report };
    check.list(&func_info, |check, is_first, at, record| {
        if let &[insn_off, type_id, ..] = record {
            if is_first && insn_off != 0 {
                check.add(Rule::ExtStart, at, insn_off);
            }
            check.func(at + 4, TypeId(type_id));
        }
    });
    check.list(&line_info, |check, _, at, record| {
        if let &[_, file_name, line_text, ..] = record {
            check.string(at + 4, file_name);
            check.string(at + 8, line_text);
        }
    });
    check.list(&core_relo, |check, _, at, record| {
        if let &[_, type_id, access, kind, ..] = record {
            check.relocation(at, TypeId(type_id), access, kind);
        }
    });
    check.report.findings
}

/// The longest text of an access in bytes: as many numbers of 32 bits as may be there, and what parts them. Texts of hostile
/// input may overlap in megabytes.
const MAX_ACCESS_TEXT: usize = MAX_ACCESS_LEN * 11;

/// Collects what is wrong.
struct Check<'a> {
    btf: &'a Btf,
    report: Report<'a>,
}

impl Check<'_> {
    fn add(&mut self, rule: Rule, at: u64, value: impl Into<u64>) {
        self.report.add_at(rule, Some(at), value);
    }

    fn string(&mut self, at: u64, offset: u32) {
        if self.btf.string_tail(StrOffset(offset)).is_none() {
            self.add(Rule::ExtString, at, offset);
        }
    }

    fn func(&mut self, at: u64, id: TypeId) {
        if self.btf.info(id).and_then(Info::kind) != Some(Kind::Func) {
            self.add(Rule::ExtFunction, at, id.0);
        }
    }

    /// Hands each record to `check`, with whether it is the first of its block, and where it stands in bytes.
    fn list(&mut self, list: &Part, check: impl Fn(&mut Self, bool, u64, &[u32])) {
        let Some((&size, mut rest)) = list.words.split_first() else {
            return;
        };
        let stride = (size / 4).max(1) as usize;
        let mut at = list.start + 4;
        while let Some((&[section, count], behind)) = rest.split_first_chunk::<2>() {
            self.string(at, section);
            at += 8;
            let len = (count as usize).saturating_mul(stride).min(behind.len());
            let (records, behind) = behind.split_at(len);
            let mut before = None;
            for record in records.chunks_exact(stride) {
                let insn_off = record.first().copied().unwrap_or(0);
                if !insn_off.is_multiple_of(INSTRUCTION_LEN) || Some(insn_off) <= before {
                    self.add(Rule::ExtInstruction, at, insn_off);
                }
                check(self, before.is_none(), at, record);
                before = Some(insn_off);
                at += 4 * stride as u64;
            }
            rest = behind;
        }
    }

    fn relocation(&mut self, at: u64, id: TypeId, access: u32, kind: u32) {
        if kind > MAX_CORE_KIND {
            self.add(Rule::ExtKind, at + 12, kind);
            return;
        }
        if id.0 >= self.btf.end_id() {
            self.add(Rule::ExtType, at + 4, id.0);
            return;
        }
        let Some(tail) = self.btf.string_tail(StrOffset(access)) else {
            self.add(Rule::ExtString, at + 8, access);
            return;
        };
        let text = tail
            .iter()
            .take(MAX_ACCESS_TEXT)
            .position(|&byte| byte == 0);
        let text = text.and_then(|len| tail.get(..len));
        if !text.is_some_and(|text| is_access(self.btf, id, text, kind)) {
            self.add(Rule::ExtAccess, at + 8, access);
        }
    }
}

/// Whether `text` says what a relocation of that kind looks at in the type `id`.
fn is_access(btf: &Btf, id: TypeId, text: &[u8], kind: u32) -> bool {
    match kind {
        // About a type as a whole.
        6..=9 | 12 => text == b"0",
        // About an enumerator.
        10 | 11 => {
            let ty = strip_modifiers(btf, id).and_then(|id| btf.ty(id));
            let Ok(Type::Enum(values) | Type::Enum64(values)) = ty else {
                return false;
            };
            number(text).is_some_and(|index| index < values.len())
        }
        _ => is_path(btf, id, text),
    }
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether `text` is an index, as into an array of `id`, and then members and elements, one inside the other.
fn is_path(btf: &Btf, id: TypeId, text: &[u8]) -> bool {
    let mut current = id;
    for (depth, part) in text.split(|&byte| byte == b':').enumerate() {
        let Some(index) = number(part).filter(|_| depth < MAX_ACCESS_LEN) else {
            return false;
        };
        // The first one says nothing about the type.
        if depth == 0 {
            continue;
        }
        let Ok(stripped) = strip_modifiers(btf, current) else {
            return false;
        };
        current = match btf.ty(stripped) {
            Ok(Type::Struct(composite) | Type::Union(composite)) => {
                let record = btf.record(stripped).unwrap_or_default();
                // By its place, as there may be as many relocations as members.
                match record.get(3 + 3 * index.min(composite.len()) + 1) {
                    Some(&ty) => TypeId(ty),
                    None => return false,
                }
            }
            // An array without elements is one whose length is not known.
            Ok(Type::Array { element, count, .. }) if count == 0 || index < count as usize => {
                element
            }
            _ => return false,
        };
    }
    !id.is_void()
}
