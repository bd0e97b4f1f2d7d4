//! How integers and floats are spelled in C.
//!
//! A name that C knows is used if it means the size that the BTF says; names of other languages (`u32`, `usize`) and types
//! that a target lacks become the type of that size. What has no such type becomes an array of bytes.

use btf_core::types::Int;
use btf_core::wire::int;
use btf_core::{Result, StrOffset, Type};

use super::view::View;
use crate::put::{Word, word};

/// The spelling of a number's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// The words of C for it.
    Words(&'static Word),
    /// There are none; so many bytes.
    Bytes(u32),
}

/// The alignment in bytes of a number of `size` bytes as it is spelled here.
pub(crate) fn align(pointer_size: u32, size: u32) -> u8 {
    let largest = if pointer_size == 8 { 16 } else { 4 };
    match u8::try_from(size) {
        // There is a type of C of so many bytes.
        Ok(size @ (1 | 2 | 4 | 8 | 16)) => size.min(largest),
        _ => 1,
    }
}

/// The names that compilers give to integers, with their size in bytes, and how they are spelled; 0 is that of a pointer.
const INTEGERS: [(&[u8], u32, &Word); 29] = [
    (b"char", 1, word!("char")),
    (b"int", 4, word!("int")),
    (b"unsigned int", 4, word!("unsigned int")),
    (b"unsigned char", 1, word!("unsigned char")),
    (b"signed char", 1, word!("signed char")),
    (b"short int", 2, word!("short int")),
    (b"short", 2, word!("short")),
    (b"short unsigned int", 2, word!("short unsigned int")),
    (b"unsigned short", 2, word!("unsigned short")),
    (b"long int", 0, word!("long int")),
    (b"long", 0, word!("long")),
    (b"long unsigned int", 0, word!("long unsigned int")),
    (b"unsigned long", 0, word!("unsigned long")),
    (b"long long int", 8, word!("long long int")),
    (b"long long", 8, word!("long long")),
    (
        b"long long unsigned int",
        8,
        word!("long long unsigned int"),
    ),
    (b"unsigned long long", 8, word!("unsigned long long")),
    (b"__int128", 16, word!("__int128")),
    (b"__int128 unsigned", 16, word!("unsigned __int128")),
    (b"unsigned __int128", 16, word!("unsigned __int128")),
    (b"_Bool", 1, word!("_Bool")),
    (b"bool", 1, word!("_Bool")),
    (b"unsigned", 4, word!("unsigned int")),
    (b"signed int", 4, word!("int")),
    (b"signed", 4, word!("int")),
    (b"unsigned short int", 2, word!("unsigned short")),
    (b"unsigned long int", 0, word!("unsigned long")),
    (b"unsigned long long int", 8, word!("unsigned long long")),
    (b"signed long", 0, word!("long")),
];

/// The floats that compilers for the targets of BPF know.
const FLOATS: [(&[u8], u32, &Word); 9] = [
    (b"float", 4, word!("float")),
    (b"double", 8, word!("double")),
    (b"long double", 16, word!("long double")),
    (b"long double", 8, word!("double")),
    (b"_Float16", 2, word!("_Float16")),
    (b"_Float128", 16, word!("_Float128")),
    (b"__float128", 16, word!("__float128")),
    (b"complex float", 8, word!("float _Complex")),
    (b"complex double", 16, word!("double _Complex")),
];

/// The spelling of an INT or FLOAT.
///
/// # Errors
/// A name that does not exist.
pub(crate) fn spelling(view: &View<'_>, ty: Type<'_>) -> Result<Spelling> {
    if let Type::Int(int) = ty {
        return integer(view, &int);
    }
    float(view, ty.name(), ty.own_size().unwrap_or(0))
}

fn integer(view: &View<'_>, int: &Int) -> Result<Spelling> {
    let name = view.string(int.name)?;
    let known = INTEGERS.iter().find(|(known, size, _)| {
        let size = if *size == 0 {
            view.pointer_size()
        } else {
            *size
        };
        *known == name && size == int.size
    });
    if let Some((_, _, words)) = known {
        return Ok(Spelling::Words(words));
    }
    let is_bool = int.encoding & int::BOOL != 0;
    Ok(match (int.size, int.is_signed()) {
        (1, _) if is_bool => Spelling::Words(word!("_Bool")),
        (size, is_signed) => of_size(size, is_signed),
    })
}

/// The integer of so many bytes.
pub(crate) fn of_size(size: u32, is_signed: bool) -> Spelling {
    Spelling::Words(match (size, is_signed) {
        (1, true) => word!("signed char"),
        (1, false) => word!("unsigned char"),
        (2, true) => word!("short"),
        (2, false) => word!("unsigned short"),
        (4, true) => word!("int"),
        (4, false) => word!("unsigned int"),
        (8, true) => word!("long long"),
        (8, false) => word!("unsigned long long"),
        (16, true) => word!("__int128"),
        (16, false) => word!("unsigned __int128"),
        _ => return Spelling::Bytes(size),
    })
}

fn float(view: &View<'_>, name: StrOffset, size: u32) -> Result<Spelling> {
    let name = view.string(name)?;
    let mut known = FLOATS.iter();
    let known = known.find(|(known, expect, _)| *known == name && *expect == size);
    Ok(known.map_or_else(
        || match size {
            4 => Spelling::Words(word!("float")),
            8 => Spelling::Words(word!("double")),
            _ => of_size(size, false),
        },
        |(_, _, words)| Spelling::Words(words),
    ))
}
