//! What there is to tell about a blob beside its types: header, strings, layout section, `.BTF.ext`.
//!
//! Spec: Documentation/bpf/btf.rst, 2 "BTF Type and String Encoding" and 4.2 "`.BTF.ext` section";
//! `Documentation/bpf/llvm_reloc.rst`, "CO-RE Relocations".

use std::io;

use btf_core::ext::{Block, BtfExt, CoreRelo, FuncInfo, LineInfo};
use btf_core::kind::Kind;
use btf_core::wire::ByteOrder;

use super::types::{Printer, kind_word};
use super::{Format, key};
use crate::put::{Word, word};

/// What each kind of CO-RE relocation asks, by its number, as `enum bpf_core_relo_kind` names it without its prefix.
static CORE_KINDS: [Word; 13] = [
    Word::new("FIELD_BYTE_OFFSET"),
    Word::new("FIELD_BYTE_SIZE"),
    Word::new("FIELD_EXISTS"),
    Word::new("FIELD_SIGNED"),
    Word::new("FIELD_LSHIFT_U64"),
    Word::new("FIELD_RSHIFT_U64"),
    Word::new("TYPE_ID_LOCAL"),
    Word::new("TYPE_ID_TARGET"),
    Word::new("TYPE_EXISTS"),
    Word::new("TYPE_SIZE"),
    Word::new("ENUMVAL_EXISTS"),
    Word::new("ENUMVAL_VALUE"),
    Word::new("TYPE_MATCHES"),
];

impl<F: Format, W: io::Write> Printer<'_, F, W> {
    /// The header, and what follows from it.
    pub(super) fn header(&mut self) {
        let header = *self.btf.header();
        let order = match self.btf.byte_order() {
            ByteOrder::Little => word!("little"),
            ByteOrder::Big => word!("big"),
        };
        self.format.open_object("header", "HEADER");
        self.format.word(key!(first "byte_order"), order);
        self.format.number(key!("hdr_len"), header.hdr_len.into());
        self.format.number(key!("type_off"), header.type_off.into());
        self.format.number(key!("type_len"), header.type_len.into());
        self.format.number(key!("str_off"), header.str_off.into());
        self.format.number(key!("str_len"), header.str_len.into());
        let layout = (header.layout_off.into(), header.layout_len.into());
        self.format.number(key!("layout_off"), layout.0);
        self.format.number(key!("layout_len"), layout.1);
        self.format.number(key!("blob_len"), self.btf.blob_len());
        let (first, end) = (self.btf.first_id(), self.btf.end_id());
        self.format.number(key!("first_id"), first.into());
        self.format.number(key!("types"), (end - first).into());
        let first = self.btf.first_string();
        self.format.number(key!("first_string"), first.into());
        self.format.end_line();
        self.format.close_record();
    }

    /// The own strings with their offsets, as they are referred to.
    pub(super) fn strings(&mut self) -> io::Result<()> {
        self.format.open_part("strings");
        let mut offset = u64::from(self.btf.first_string());
        let strings = self.btf.string_bytes();
        for string in strings.split_inclusive(|&byte| byte == 0) {
            self.format.open_record("STRING");
            self.format.number(key!(first "offset"), offset);
            let name = self.names.cut(string);
            self.format.string(key!("string"), name);
            self.format.end_line();
            self.format.close_record();
            self.drain()?;
            offset += string.len() as u64;
        }
        self.format.close_part();
        Ok(())
    }

    /// The layout section, which tells how long the records of each kind are.
    pub(super) fn layout(&mut self) {
        self.format.open_part("layout");
        for (number, entry) in (0..).zip(self.btf.layout().unwrap_or_default()) {
            let kind = match number {
                0 => word!("void"),
                _ => kind_word(Kind::from_number(number)),
            };
            self.format.open_record("LAYOUT");
            let number = number.into();
            self.format.number(key!(first "kind_number"), number);
            self.format.word(key!("kind"), kind);
            self.format
                .number(key!("info_sz"), entry.trailer_size.into());
            self.format
                .number(key!("elem_sz"), entry.element_size.into());
            self.format.number(key!("flags"), entry.flags.into());
            self.format.end_line();
            self.format.close_record();
        }
        self.format.close_part();
    }

    /// The records of `.BTF.ext`, one list for each section of instructions.
    pub(super) fn ext(&mut self, ext: &BtfExt) -> io::Result<()> {
        self.format.open_part("func_info");
        for block in &ext.func_info {
            self.block("FUNC_INFO", block, |printer, record: &FuncInfo| {
                let offset = record.insn_off.into();
                printer.format.number(key!(first "insn_off"), offset);
                printer.reference(key!("type_id"), record.type_id);
            })?;
        }
        self.format.close_part();
        self.format.open_part("line_info");
        for block in &ext.line_info {
            self.block("LINE_INFO", block, |printer, record: &LineInfo| {
                let offset = record.insn_off.into();
                printer.format.number(key!(first "insn_off"), offset);
                let file = printer.names.get(record.file_name);
                printer.format.string(key!("file_name"), file);
                let (line, column) = (record.line_col >> 10, record.line_col & 0x3ff);
                printer.format.number(key!("line"), line.into());
                printer.format.number(key!("column"), column.into());
                let source = printer.names.get(record.line_text);
                printer.format.string(key!("source"), source);
            })?;
        }
        self.format.close_part();
        self.format.open_part("core_relo");
        for block in &ext.core_relo {
            self.block("CORE_RELO", block, |printer, record: &CoreRelo| {
                let offset = record.insn_off.into();
                printer.format.number(key!(first "insn_off"), offset);
                printer.reference(key!("type_id"), record.type_id);
                let access = printer.names.get(record.access);
                printer.format.string(key!("access"), access);
                let kind = CORE_KINDS.get(record.kind as usize);
                let word = kind.unwrap_or(kind_word(None));
                printer.format.word(key!("kind"), word);
                if kind.is_none() {
                    let number = record.kind.into();
                    printer.format.number(key!("kind_number"), number);
                }
            })?;
        }
        self.format.close_part();
        Ok(())
    }

    fn block<R>(
        &mut self,
        what: &'static str,
        block: &Block<R>,
        mut write: impl FnMut(&mut Self, &R),
    ) -> io::Result<()> {
        self.format.open_record(what);
        let section = self.names.get(block.section);
        self.format.string(key!(first "section"), section);
        let count = block.records.len() as u64;
        self.format.number(key!("num_info"), count);
        self.format.end_line();
        self.list(key!("records"), block.records.iter(), |printer, record| {
            write(printer, record);
        })?;
        self.format.close_record();
        Ok(())
    }
}
