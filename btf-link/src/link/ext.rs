//! The `.BTF.ext` of the output: what it says about instructions that stay, at the offsets that they have now.
#![deny(clippy::indexing_slicing)]

use btf_core::Result;
use btf_core::ext::{Block, BtfExt, CoreRelo, FuncInfo, LineInfo};

use super::declared::Entities;
use super::layout::Layout;
use super::object::Object;
use super::problem::{Problem, show};
use super::symbols::SectionRef;
use super::types::Types;

/// The kinds of CO-RE relocations that put a type id of the program itself, and of the kernel, into an instruction.
const TYPE_ID_LOCAL: u32 = 6;
const TYPE_ID_TARGET: u32 = 7;

/// A type id in an instruction that has another number now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Immediate {
    /// The section of the input.
    pub(crate) at: SectionRef,
    /// The instruction, in bytes from its start.
    pub(crate) offset: u64,
    /// The id that was the type's; what is in the instruction may differ.
    pub(crate) old: u32,
    pub(crate) new: u32,
    /// Whether it is put in whatever was there.
    pub(crate) always: bool,
}

/// What instructions get.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) ext: BtfExt,
    pub(crate) immediates: Vec<Immediate>,
}

/// The records of each output section, with numbers for strings.
struct Records {
    funcs: Vec<Vec<FuncInfo>>,
    lines: Vec<Vec<LineInfo>>,
    relocations: Vec<Vec<CoreRelo>>,
    immediates: Vec<Immediate>,
}

/// Joins the `.BTF.ext` of all objects.
///
/// # Errors
/// [`btf_core::ErrorKind::TooLarge`] if the strings do not fit BTF.
pub(crate) fn join(
    objects: &[Object<'_>],
    layout: &Layout<'_, '_>,
    entities: &Entities<'_>,
    types: &mut Types<'_>,
    problems: &mut Vec<Problem>,
) -> Result<Joined> {
    let records = collect(objects, layout, entities, types, problems);
    let func_info = blocks(layout, types, records.funcs, |_, record| Ok(record))?;
    let line_info = blocks(layout, types, records.lines, |types, record| {
        Ok(LineInfo {
            file_name: types.string(record.file_name)?,
            line_text: types.string(record.line_text)?,
            ..record
        })
    })?;
    let core_relo = blocks(layout, types, records.relocations, |types, record| {
        Ok(CoreRelo {
            access: types.string(record.access)?,
            ..record
        })
    })?;
    let ext = BtfExt {
        func_info,
        line_info,
        core_relo,
    };
    let immediates = records.immediates;
    Ok(Joined { ext, immediates })
}

/// Takes the records that stay, with their new offsets and type ids.
fn collect(
    objects: &[Object<'_>],
    layout: &Layout<'_, '_>,
    entities: &Entities<'_>,
    types: &Types<'_>,
    problems: &mut Vec<Problem>,
) -> Records {
    let count = layout.sections.len();
    let mut records = Records {
        funcs: vec![Vec::new(); count],
        lines: vec![Vec::new(); count],
        relocations: vec![Vec::new(); count],
        immediates: Vec::new(),
    };
    for (index, object) in objects.iter().enumerate() {
        let Some(ext) = types.gathered.ext(index) else {
            continue;
        };
        let mut joiner = Joiner {
            index,
            object,
            types,
            layout,
            problems,
        };
        joiner.each(
            &ext.func_info,
            |r| r.insn_off,
            |out, _, insn_off, record| {
                if let Some(entity) = entities.of(index, record.type_id) {
                    let type_id = types.entity(entity);
                    push(&mut records.funcs, out, FuncInfo { insn_off, type_id });
                }
            },
        );
        joiner.each(
            &ext.line_info,
            |r| r.insn_off,
            |out, _, insn_off, record| {
                let record = LineInfo {
                    insn_off,
                    ..*record
                };
                push(&mut records.lines, out, record);
            },
        );
        joiner.each(
            &ext.core_relo,
            |r| r.insn_off,
            |out, at, insn_off, record| {
                let type_id = types.id(index, record.type_id);
                if matches!(record.kind, TYPE_ID_LOCAL | TYPE_ID_TARGET) {
                    records.immediates.push(Immediate {
                        at,
                        offset: record.insn_off.into(),
                        old: record.type_id.0,
                        new: type_id.0,
                        always: record.kind == TYPE_ID_LOCAL,
                    });
                }
                let record = CoreRelo {
                    insn_off,
                    type_id,
                    ..*record
                };
                push(&mut records.relocations, out, record);
            },
        );
    }
    records
}

fn push<R>(lists: &mut [Vec<R>], out: usize, record: R) {
    if let Some(list) = lists.get_mut(out) {
        list.push(record);
    }
}

/// Makes a block of each list that is not empty.
fn blocks<R, S>(
    layout: &Layout<'_, '_>,
    types: &mut Types<'_>,
    lists: Vec<Vec<R>>,
    finish: impl Fn(&mut Types<'_>, R) -> Result<S>,
) -> Result<Vec<Block<S>>> {
    let mut blocks = Vec::new();
    for (section, list) in layout.sections.iter().zip(lists) {
        if list.is_empty() {
            continue;
        }
        let section = types.builder.add_string(section.name)?;
        let records = list.into_iter().map(|record| finish(types, record));
        let records = records.collect::<Result<_>>()?;
        blocks.push(Block { section, records });
    }
    Ok(blocks)
}

/// Goes over what an object says.
struct Joiner<'a, 'd> {
    index: usize,
    object: &'a Object<'d>,
    types: &'a Types<'a>,
    layout: &'a Layout<'a, 'd>,
    problems: &'a mut Vec<Problem>,
}

impl Joiner<'_, '_> {
    /// Calls `visit` with each record that stays: output section, section of the input, new offset.
    fn each<R>(
        &mut self,
        blocks: &[Block<R>],
        offset_of: impl Fn(&R) -> u32,
        mut visit: impl FnMut(usize, SectionRef, u32, &R),
    ) {
        for block in blocks {
            let name = self.types.gathered.string(block.section);
            let Some(section) = self.object.section(name) else {
                let text = format!(
                    "`.BTF.ext` tells of section {}, which is not there",
                    show(name)
                );
                self.problems.push(Problem::of(self.object, text));
                continue;
            };
            let at = (self.index, section);
            let Some(out) = self.layout.out_of(at) else {
                continue;
            };
            for record in &block.records {
                let offset = offset_of(record);
                if !self.layout.stays(at, offset.into()) {
                    continue;
                }
                let new = self.layout.offset(at, offset.into());
                let new = new.and_then(|new| u32::try_from(new).ok());
                visit(out, at, new.unwrap_or(u32::MAX), record);
            }
        }
    }
}
