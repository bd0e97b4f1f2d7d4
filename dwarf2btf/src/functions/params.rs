//! The parameter walk: does a function get its parameters where the calling convention puts them?
//!
//! A compiler may change the signature of a function that only its own unit calls: it drops parameters that are unused or
//! always the same, passes a member instead of a pointer to the structure, or puts them in other registers. DWARF
//! still describes the parameters of the source. What gives the change away are their locations at the function's entry.
//!
//! gcc and clang leave different traces. gcc's locations are those at the entry, so a parameter in another register was
//! moved. With clang a list may start after the parameter was moved about, so a register only has to be one of
//! those that the parameter may take; where clang changed the signature it says so (`DW_CC_nocall`), and then the
//! parameters that are left are in registers one after the other.
//!
//! Slots are counted as BPF does it, one after the other over all parameters. So a parameter behind a floating-point one,
//! or one behind the hidden pointer to a large result (x86-64, RISC-V), counts as moved although the compiler follows
//! the calling convention: a tool would read it from the wrong register. A register that only `DW_OP_regx` can name
//! ([`FIRST_EXTENDED_REGISTER`]) holds no integer and is not compared, as in pahole, which does not know that operation.
//!
//! DWARF describes a function that is also inlined somewhere as an *abstract instance* with names and types and a
//! *concrete instance* with addresses and locations, each of whose parameters points to its origin. Names and types go
//! from origin to instance, locations and flags from instance to origin, so either tells all.
//!
//! **Differences from pahole 1.32**: a large parameter passed on the stack takes no slot (see [`crate::abi`]), and a function
//! of which clang passes only a member of a structure counts as optimized; pahole then keeps it under its old prototype.
//!
//! Spec: DWARF 5, 3.3.8.2 "Concrete Inlined Instances", 3.3.1.1 "Calling Convention Information".

use btf_core::TypeId;
use btf_core::dedup::Name;

use super::Flags;
use crate::abi::Abi;
use crate::locations::{ParamLocation, Place};

/// The first register that has no `DW_OP_regN` of its own: on `AArch64`, RISC-V, `PowerPC` and `LoongArch` floating-point and
/// vector registers are named by `DW_OP_regx`.
pub const FIRST_EXTENDED_REGISTER: u16 = 32;

/// Who wrote a unit, by `DW_AT_producer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// clang, and others built on LLVM.
    Clang,
    /// gcc and all others.
    Gcc,
}

impl Compiler {
    /// The compiler of a unit with this `DW_AT_producer`.
    #[must_use]
    pub fn of(producer: &[u8]) -> Self {
        let has = |part: &[u8]| producer.windows(part.len()).any(|window| window == part);
        if has(b"clang") || has(b"LLVM") {
            Self::Clang
        } else {
            Self::Gcc
        }
    }
}

/// A function of a unit, as the reader fills it in and the walk completes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subprogram {
    /// The index, in the unit's functions, of what `DW_AT_abstract_origin` or `DW_AT_specification` names.
    pub origin: Option<u32>,
    /// The index of its first parameter in the unit's parameters.
    pub first_param: u32,
    /// How many parameters it has.
    pub param_count: u32,
    /// Whether its own `DW_AT_calling_convention` is `DW_CC_nocall`.
    pub is_nocall: bool,
    /// Whether it is an abstract instance: it has `DW_AT_inline`, or simply no code.
    pub is_inlined: bool,
    /// The walk's result.
    pub flags: Flags,
}

/// A parameter, as the reader fills it in and the walk completes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameter {
    /// Its name; of an instance, the walk takes it from the origin.
    pub name: Name,
    /// Its type, local to the unit; of an instance, the walk takes it from the origin.
    pub ty: TypeId,
    /// The size of its type after typedefs and qualifiers, in bytes.
    pub size_bytes: u64,
    /// Whether it is a structure by value, typedefs and qualifiers skipped.
    pub is_struct: bool,
    /// Whether its type is directly a named structure whose layout is packed.
    pub is_packed_struct: bool,
    /// The index, in the unit's parameters, of what `DW_AT_abstract_origin` names.
    pub origin: Option<u32>,
    /// Where it lies.
    pub location: ParamLocation,
    /// Whether it has `DW_AT_const_value`.
    pub has_const_value: bool,
    /// The walk's result.
    pub fate: Fate,
}

/// What the compiler has made of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is passed.
    #[default]
    Kept,
    /// It is not passed.
    Dropped,
    /// Of a structure only the member at this offset and of this size is passed, both in bytes.
    Member {
        /// The member's offset.
        offset_bytes: u32,
        /// Its size.
        size_bytes: u32,
    },
}

/// The name of a parameter of which only a member is passed ([`Fate::Member`]): `parameter__member`, as pahole has it.
#[must_use]
pub fn member_param_name(param: &[u8], member: &[u8]) -> Vec<u8> {
    [param, b"__", member].concat()
}

/// Whether a structure's layout is packed, for [`Parameter::is_packed_struct`].
///
/// `members` gives, in bytes, each member's offset and the alignment that its type has by itself; bit-fields are left out.
#[must_use]
pub fn looks_packed(size_bytes: u64, members: impl IntoIterator<Item = (u64, u64)>) -> bool {
    let is_off =
        |position: u64, alignment: u64| alignment > 1 && !position.is_multiple_of(alignment);
    members
        .into_iter()
        .any(|(offset, alignment)| is_off(offset, alignment) || is_off(size_bytes, alignment))
}

/// Completes the functions of a unit.
///
/// `params` holds the parameters of all functions, those of one function side by side and in order. Origins may stand
/// anywhere in the unit. An origin of an origin is not followed: compilers do not write such.
pub fn walk_unit(
    abi: &Abi,
    compiler: Compiler,
    functions: &mut [Subprogram],
    params: &mut [Parameter],
) {
    for at in 0..functions.len() {
        let Some(function) = functions.get(at).copied() else {
            return;
        };
        let origin = function
            .origin
            .and_then(|index| functions.get(index as usize))
            .copied();
        let mut flags = inherit(&function, origin.as_ref(), params);
        let is_changed = !function.is_inlined
            && compiler == Compiler::Clang
            && (function.is_nocall || origin.is_some_and(|origin| origin.is_nocall));
        if let Some(own) = own_params(&function, params) {
            flags.add(match (compiler, is_changed) {
                (Compiler::Gcc, _) => walk_gcc(abi, own),
                (Compiler::Clang, true) => walk_changed(abi, own),
                (Compiler::Clang, false) => walk_clang(abi, own),
            });
            flags.add(uncertain(abi, own));
            if own.iter().any(|param| param.is_struct) {
                flags = flags.without(Flags::UNEXPECTED);
            }
        }
        if let Some(function) = functions.get_mut(at) {
            // An instance that stands before its origin has already told what it knows.
            function.flags.add(flags);
        }
        if let Some(index) = function.origin {
            hand_back(&function, flags, index, functions, params);
        }
    }
}

/// The parameters of one function.
fn own_params<'p>(
    function: &Subprogram,
    params: &'p mut [Parameter],
) -> Option<&'p mut [Parameter]> {
    let first = function.first_param as usize;
    params.get_mut(first..first.checked_add(function.param_count as usize)?)
}

/// Takes names and types from the origin's parameters, and tells whether their order differs.
fn inherit(function: &Subprogram, origin: Option<&Subprogram>, params: &mut [Parameter]) -> Flags {
    let mut flags = Flags::NONE;
    for position in 0..function.param_count {
        let at = function.first_param.saturating_add(position) as usize;
        let source = params.get(at).and_then(|param| param.origin);
        let Some(from) = source.and_then(|index| params.get(index as usize)).copied() else {
            continue;
        };
        if let (Some(origin), Some(index)) = (origin, source)
            && index.checked_sub(origin.first_param) != Some(position)
        {
            flags.add(Flags::REORDERED);
        }
        if let Some(param) = params.get_mut(at) {
            param.name = from.name;
            param.ty = from.ty;
            param.size_bytes = from.size_bytes;
            param.is_struct = from.is_struct;
            param.is_packed_struct = from.is_packed_struct;
        }
    }
    flags
}

/// Hands locations and flags to the origin.
fn hand_back(
    function: &Subprogram,
    flags: Flags,
    origin: u32,
    functions: &mut [Subprogram],
    params: &mut [Parameter],
) {
    if let Some(origin) = functions.get_mut(origin as usize) {
        origin.flags.add(flags);
    }
    for position in 0..function.param_count {
        let at = function.first_param.saturating_add(position) as usize;
        let Some(from) = params.get(at).copied() else {
            return;
        };
        if let Some(to) = from.origin.and_then(|index| params.get_mut(index as usize)) {
            to.location = from.location;
            to.has_const_value = from.has_const_value;
            to.fate = from.fate;
        }
    }
}

/// gcc: each parameter in its own register, or it was moved or optimized away.
fn walk_gcc(abi: &Abi, params: &mut [Parameter]) -> Flags {
    let mut flags = Flags::NONE;
    if abi.register_count == 0 {
        return flags;
    }
    let mut slot = 0_u64;
    for param in params {
        let is_checked = abi.has_register(slot) && !abi.is_in_memory(param.size_bytes);
        match param.location.place {
            Place::Nowhere => {
                flags.add(Flags::OPTIMIZED);
                param.fate = Fate::Dropped;
            }
            Place::Register(FIRST_EXTENDED_REGISTER..) if is_checked => {
                flags.add(Flags::OPTIMIZED);
            }
            Place::Register(register) if is_checked => {
                if abi
                    .register(slot)
                    .is_some_and(|expected| expected != register)
                {
                    flags.add(Flags::UNEXPECTED);
                }
            }
            Place::Memory | Place::Value if is_checked => {
                flags.add(Flags::OPTIMIZED);
                param.fate = Fate::Dropped;
            }
            Place::Register(_) | Place::Memory | Place::Value | Place::Unknown => {}
        }
        slot = slot.saturating_add(abi.slots(param.size_bytes));
    }
    flags
}

/// clang, signature unchanged: a register must be one of those that the parameter may take.
fn walk_clang(abi: &Abi, params: &mut [Parameter]) -> Flags {
    let mut flags = Flags::NONE;
    let mut slot = 0_u64;
    for param in params {
        let slots = abi.slots(param.size_bytes);
        if param.location.place == Place::Nowhere && abi.register_count > 0 {
            flags.add(Flags::OPTIMIZED);
            param.fate = Fate::Dropped;
        }
        if let Some(register) = param.location.register()
            && register < FIRST_EXTENDED_REGISTER
            && !abi.registers.is_empty()
            && abi.has_register(slot)
            && !abi.is_in_memory(param.size_bytes)
            && !(slot..slot.saturating_add(slots)).any(|s| abi.register(s) == Some(register))
        {
            flags.add(Flags::UNEXPECTED);
        }
        slot = slot.saturating_add(slots);
    }
    flags
}

/// clang, signature changed: what is left of the parameters is in registers one after the other.
fn walk_changed(abi: &Abi, params: &mut [Parameter]) -> Flags {
    let mut flags = Flags::CHANGED;
    let mut slot = 0_u64;
    for param in params {
        param.fate = fate_of(param);
        if param.fate != Fate::Kept {
            flags.add(Flags::OPTIMIZED);
        }
        let slots = match param.fate {
            Fate::Kept => abi.slots(param.size_bytes),
            Fate::Member { .. } => 1,
            Fate::Dropped => continue,
        };
        let is_checked = abi.has_register(slot) && !abi.is_in_memory(param.size_bytes);
        let is_expected = match param.location.place {
            Place::Nowhere
            | Place::Value
            | Place::Unknown
            | Place::Register(FIRST_EXTENDED_REGISTER..) => true,
            Place::Register(register) => abi.register(slot).is_none_or(|r| r == register),
            Place::Memory => false,
        };
        if is_checked && !is_expected {
            flags.add(Flags::UNEXPECTED);
        }
        slot = slot.saturating_add(slots);
    }
    flags
}

/// What a changed signature has left of a parameter.
fn fate_of(param: &Parameter) -> Fate {
    match param.location.place {
        Place::Nowhere | Place::Value => return Fate::Dropped,
        Place::Register(_) | Place::Memory | Place::Unknown => {}
    }
    let pieces = param.location.pieces();
    let mut passed = pieces
        .iter()
        .filter(|piece| matches!(piece.place, Place::Register(_)));
    match (passed.next(), passed.next()) {
        // One piece of several, or of less than the whole.
        (Some(piece), None)
            if usize::from(param.location.piece_count) == pieces.len()
                && u64::from(piece.size_bytes) < param.size_bytes =>
        {
            Fate::Member {
                offset_bytes: piece.offset_bytes,
                size_bytes: piece.size_bytes,
            }
        }
        _ => Fate::Kept,
    }
}

/// Whether a packed structure is passed on the stack, where its alignment decides about its place.
fn uncertain(abi: &Abi, params: &[Parameter]) -> Flags {
    let on_stack = params.iter().skip(usize::from(abi.register_count));
    if abi.register_count > 0 && on_stack.into_iter().any(|param| param.is_packed_struct) {
        Flags::UNCERTAIN
    } else {
        Flags::NONE
    }
}

#[cfg(test)]
mod tests;
