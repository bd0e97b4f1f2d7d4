//! Declarations of kfuncs in C, as programs include them behind `vmlinux.h`.
//!
//! What bpftool writes at the end of `vmlinux.h`, also for modules, with the types that only those have. A module's type that
//! the kernel has under the same name gets a number, as in the headers of [`crate::c`].

use std::collections::HashSet;

use btf_core::{Result, TypeId};

use super::Kfunc;
use crate::c::frame::MACROS;
use crate::c::{Functions, functions};
use btf_core::cli::sources::Source;

/// A header that is being written.
#[derive(Debug)]
pub struct Header {
    text: Vec<u8>,
    /// Every declaration so far; modules may have the same ones.
    written: HashSet<Vec<u8>>,
}

impl Default for Header {
    fn default() -> Self {
        Self::new()
    }
}

impl Header {
    /// A header without kfuncs.
    #[must_use]
    pub fn new() -> Self {
        let text = format!("#pragma once\n\n{MACROS}").into_bytes();
        let written = HashSet::new();
        Self { text, written }
    }

    /// Adds the kfuncs of a source, and what they need of a module's own types.
    ///
    /// # Errors
    /// What [`crate::c::header`] returns for types.
    pub fn add(&mut self, source: &Source, kfuncs: &[Kfunc<'_>]) -> Result<()> {
        if kfuncs.is_empty() {
            return Ok(());
        }
        let declared = declared(source, kfuncs)?;
        // What could end the comment has no business in it.
        let title = source.title().replace(['*', '\n'], "_");
        self.put(&format!("/* kfuncs of {title} */\n"));
        // Behind each type is an empty line, and there is none in it.
        let mut types = declared.types.as_slice();
        while !types.is_empty() {
            let end = memchr::memmem::find(types, b"\n\n");
            let (text, rest) = types.split_at(end.map_or(types.len(), |end| end + 2));
            self.put_once(text.to_vec());
            types = rest;
        }
        for (kfunc, text) in kfuncs.iter().zip(declared.functions) {
            let fastcall: &[u8] = if kfunc.is_fastcall() {
                b"__bpf_fastcall "
            } else {
                b""
            };
            let parts: [&[u8]; 4] = [b"extern ", fastcall, &text, b" __weak __ksym;\n"];
            self.put_once(parts.concat());
        }
        self.put("\n");
        Ok(())
    }

    /// The text so far.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    fn put(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn put_once(&mut self, text: Vec<u8>) {
        if !self.written.contains(&text) {
            self.text.extend_from_slice(&text);
            self.written.insert(text);
        }
    }
}

/// Each kfunc's declaration without `extern` and attributes: `int bpf_f(struct x *y)`.
///
/// # Errors
/// What [`crate::c::header`] returns for types.
pub fn prototypes(source: &Source, kfuncs: &[Kfunc<'_>]) -> Result<Vec<Vec<u8>>> {
    Ok(declared(source, kfuncs)?.functions)
}

fn declared(source: &Source, kfuncs: &[Kfunc<'_>]) -> Result<Functions> {
    let btf = &*source.btf;
    // The types of a kernel are all in its header.
    let first_own = match btf.base() {
        Some(_) => btf.first_id(),
        None => btf.end_id(),
    };
    let list = kfuncs
        .iter()
        .map(|kfunc| Ok((btf.ty(kfunc.id)?.name(), kfunc.proto)));
    let list: Vec<_> = list.collect::<Result<_>>()?;
    functions(btf, source.pointer_size, TypeId(first_own), &list)
}
