//! What stands around the declarations, as in the headers of bpftool: include guard, attributes, macros.

use super::text::put_macro_part;
use super::{Options, Scope};

const PRESERVE: &str = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

";

/// Macros for declarations of kfuncs.
pub(crate) const MACROS: &str = "\
#ifndef __ksym
#define __ksym __attribute__((section(\".ksyms\")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

";

const DECL_TAG: &str = "\
#ifndef __btf_decl_tag
#if __has_attribute(btf_decl_tag)
#define __btf_decl_tag(text) __attribute__((btf_decl_tag(text)))
#else
#define __btf_decl_tag(text)
#endif
#endif

";

pub(super) const ASSERTIONS: &str = "\
#ifndef BTF_NO_ASSERTIONS
#define __btf_assert_size(type, bytes) \\
\t_Static_assert(sizeof(type) == (bytes), \"size of \" #type)
#define __btf_assert_offset(type, member, bytes) \\
\t_Static_assert(__builtin_offsetof(type, member) == (bytes), \"offset of \" #member \" in \" #type)

";

pub(super) const END_ASSERTIONS: &str = "\
#undef __btf_assert_size
#undef __btf_assert_offset
#endif

";

pub(super) const KFUNCS: &str = "\
/* BPF kfuncs */
#ifndef BPF_NO_KFUNC_PROTOTYPES
";

pub(super) const END_KFUNCS: &str = "\
#endif

";

/// Writes what comes before the declarations.
pub(super) fn open(options: &Options<'_>, out: &mut Vec<u8>) {
    let put = |out: &mut Vec<u8>, text: &str| out.extend_from_slice(text.as_bytes());
    put(out, "#ifndef ");
    put_guard(options, out);
    put(out, "\n#define ");
    put_guard(options, out);
    put(out, "\n\n");
    if let Scope::Module { kernel_header, .. } = options.scope {
        put(out, "#include \"");
        // A name that could end the line or the string has no business here.
        let is_plain = |c: &char| !c.is_control() && !matches!(c, '"' | '\\');
        out.extend(
            kernel_header
                .chars()
                .filter(is_plain)
                .collect::<String>()
                .bytes(),
        );
        put(out, "\"\n\n");
    }
    put(out, PRESERVE);
    put(out, MACROS);
    if options.decl_tags {
        put(out, DECL_TAG);
    }
}

/// Writes what comes behind them.
pub(super) fn close(options: &Options<'_>, out: &mut Vec<u8>) {
    let end = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* ";
    out.extend_from_slice(end.as_bytes());
    put_guard(options, out);
    out.extend_from_slice(b" */\n");
}

/// The macro that keeps a header from being read twice.
fn put_guard(options: &Options<'_>, out: &mut Vec<u8>) {
    let name = match options.scope {
        Scope::All | Scope::Roots(_) => "VMLINUX",
        Scope::Module { name, .. } => name,
    };
    out.extend_from_slice(b"__");
    put_macro_part(out, name);
    out.extend_from_slice(b"_H__");
}
