//! Prototypes as pfunct prints them.
//!
//! Spec: pfunct 1.32, `pfunct -F btf -P`.

use btf_core::reader::Btf;
use btf_core::types::Type;

use super::Kfunc;
use crate::layout::spell::Speller;

/// Writes prototypes of one BTF.
pub struct Prototypes<'b> {
    speller: Speller<'b>,
}

impl std::fmt::Debug for Prototypes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prototypes").finish_non_exhaustive()
    }
}

impl<'b> Prototypes<'b> {
    /// Writes prototypes of `btf`.
    #[must_use]
    pub fn new(btf: &'b Btf) -> Self {
        let speller = Speller::new(btf);
        Self { speller }
    }

    /// Appends `TAGS RESULT NAME(PARAMETERS);`.
    ///
    /// Types are spelled in pahole's way, and tags on types are left out.
    pub fn put(&mut self, kfunc: &Kfunc<'_>, out: &mut Vec<u8>) {
        for tag in &kfunc.tags {
            out.extend_from_slice(tag);
            out.push(b' ');
        }
        let Type::FuncProto(proto) = self.speller.ty(kfunc.proto) else {
            out.extend_from_slice(kfunc.name);
            out.push(b';');
            return;
        };
        self.speller.put_name(out, proto.result);
        out.push(b' ');
        out.extend_from_slice(kfunc.name);
        out.push(b'(');
        if proto.is_empty() {
            out.extend_from_slice(b"void");
        }
        for (index, param) in proto.params().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if param.is_variadic() {
                out.extend_from_slice(b"...");
                continue;
            }
            let name = self.speller.name(param.name);
            let mut declaration = self.speller.unwind(param.ty, name, false);
            if !declaration.has_array && !declaration.has_pointer {
                // Nothing stands around the name: the type is written as one, with its qualifiers.
                declaration.qualifiers.clear();
                declaration.left = param.ty;
            }
            out.extend_from_slice(&declaration.qualifiers);
            self.speller.put_name(out, declaration.left);
            out.push(b' ');
            out.extend_from_slice(&declaration.declarator);
        }
        out.extend_from_slice(b");");
    }
}
