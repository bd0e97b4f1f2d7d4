//! Kfuncs as JSON Lines, one object for each.
//!
//! ```json
//! {"type":"kfunc","name":"bpf_cast_to_kern_ctx","file":"vmlinux","id":54179,"prototype":"void *bpf_cast_to_kern_ctx(void *obj)",
//!  "params":[{"name":"obj","type_id":4}],"return_type_id":4,"tags":["bpf_kfunc","bpf_fastcall"],
//!  "is_fastcall":true,"flags":["FASTCALL"],"flag_bits":4096,"sets":["common_btf_ids"]}
//! ```
//!
//! (on one line). `flags`, `flag_bits` and `sets` are what `.BTF_ids` says, and missing if the file has no such section; the
//! flags are without their `KF_`. Names that are not UTF-8 stand as base64 under a key with `_base64` appended.

use std::path::Path;

use btf_core::cli::json_line;
use btf_core::reader::Btf;
use btf_core::types::Type;

use super::Kfunc;
use crate::names::Names;

/// The line of a kfunc of `file`; `prototype` is its declaration in C.
#[must_use]
pub fn line(btf: &Btf, file: &Path, kfunc: &Kfunc<'_>, prototype: &[u8]) -> String {
    json_line("kfunc", |object| {
        object.name("name", kfunc.name);
        object.name("file", file.as_os_str().as_encoded_bytes());
        object.number("id", kfunc.id.0.into());
        object.name("prototype", prototype);
        if let Ok(Type::FuncProto(proto)) = btf.ty(kfunc.proto) {
            let mut names = Names::new(btf);
            object.array("params", |params| {
                for param in proto.params() {
                    params.object(|object| {
                        object.name("name", names.get(param.name).bytes);
                        object.number("type_id", param.ty.0.into());
                    });
                }
            });
            object.number("return_type_id", proto.result.0.into());
        }
        object.array("tags", |tags| {
            for tag in &kfunc.tags {
                tags.text(&String::from_utf8_lossy(tag));
            }
        });
        object.flag("is_fastcall", kfunc.is_fastcall());
        if let Some(entry) = kfunc.entry {
            object.array("flags", |flags| {
                for name in entry.flag_names() {
                    flags.text(&name);
                }
            });
            object.number("flag_bits", entry.flags.into());
            object.array("sets", |sets| {
                for set in &entry.sets {
                    sets.text(set);
                }
            });
        }
    })
}
