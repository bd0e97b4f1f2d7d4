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
mod tests {
    use super::*;
    use crate::abi::machine;
    use crate::locations::from_expression;

    const RDI: Place = Place::Register(5);
    const RSI: Place = Place::Register(4);
    const RDX: Place = Place::Register(1);
    const NONE: Place = Place::Nowhere;

    fn param(place: Place, size_bytes: u64) -> Parameter {
        Parameter {
            size_bytes,
            location: ParamLocation::at(place),
            ..Parameter::default()
        }
    }

    fn structure(place: Place, size_bytes: u64) -> Parameter {
        Parameter {
            is_struct: true,
            ..param(place, size_bytes)
        }
    }

    fn packed(place: Place) -> Parameter {
        Parameter {
            is_packed_struct: true,
            ..structure(place, 9)
        }
    }

    #[track_caller]
    fn check_on(e_machine: u16, compiler: Compiler, params: &[Parameter], expect: Flags) {
        let mut params = params.to_vec();
        let mut functions = [Subprogram {
            param_count: u32::try_from(params.len()).expect("few"),
            ..Subprogram::default()
        }];
        walk_unit(
            &Abi::of(e_machine, 8),
            compiler,
            &mut functions,
            &mut params,
        );
        assert_eq!(functions[0].flags, expect);
    }

    #[track_caller]
    fn check(compiler: Compiler, params: &[Parameter], expect: Flags) {
        check_on(machine::X86_64, compiler, params, expect);
    }

    #[test]
    fn registers_in_order() {
        for compiler in [Compiler::Gcc, Compiler::Clang] {
            check(compiler, &[], Flags::NONE);
            check(compiler, &[param(RDI, 8), param(RSI, 4)], Flags::NONE);
            check(compiler, &[param(RSI, 8), param(RDI, 4)], Flags::UNEXPECTED);
            check(compiler, &[param(RDI, 16), param(RDX, 4)], Flags::NONE);
            check(
                compiler,
                &[param(RDI, 16), param(RSI, 4)],
                Flags::UNEXPECTED,
            );
            check(
                compiler,
                &[param(Place::Register(17), 8)],
                Flags::UNEXPECTED,
            );
        }
        // The second half of a wide parameter is good enough for clang.
        check(Compiler::Gcc, &[param(RSI, 16)], Flags::UNEXPECTED);
        check(Compiler::Clang, &[param(RSI, 16)], Flags::NONE);
    }

    #[test]
    fn parameters_that_are_gone() {
        let gcc = Compiler::Gcc;
        check(gcc, &[param(NONE, 8)], Flags::OPTIMIZED);
        check(gcc, &[param(Place::Value, 8)], Flags::OPTIMIZED);
        check(gcc, &[param(Place::Memory, 8)], Flags::OPTIMIZED);
        check(gcc, &[param(Place::Unknown, 8)], Flags::NONE);
        check(Compiler::Clang, &[param(NONE, 8)], Flags::OPTIMIZED);
        check(Compiler::Clang, &[param(Place::Value, 8)], Flags::NONE);
        let mut seven = [
            RDI,
            RSI,
            RDX,
            Place::Register(2),
            Place::Register(8),
            Place::Register(9),
        ]
        .map(|place| param(place, 8))
        .to_vec();
        seven.push(param(Place::Memory, 8));
        check(gcc, &seven, Flags::NONE);
        seven.push(param(NONE, 8));
        check(gcc, &seven, Flags::OPTIMIZED);
    }

    #[test]
    fn wide_parameters_in_memory() {
        check(
            Compiler::Gcc,
            &[param(Place::Memory, 40), param(RDI, 8)],
            Flags::NONE,
        );
        check(
            Compiler::Gcc,
            &[param(Place::Memory, 40), param(RSI, 8)],
            Flags::UNEXPECTED,
        );
        let x1 = param(Place::Register(1), 8);
        check_on(
            machine::AARCH64,
            Compiler::Gcc,
            &[param(Place::Memory, 40), x1],
            Flags::NONE,
        );
    }

    #[test]
    fn floating_point_registers() {
        let v0 = param(Place::Register(64), 8);
        let x1 = param(Place::Register(1), 8);
        let gcc = Compiler::Gcc;
        check_on(machine::AARCH64, gcc, &[v0, x1], Flags::OPTIMIZED);
        check_on(machine::AARCH64, Compiler::Clang, &[v0, x1], Flags::NONE);
        let x0 = param(Place::Register(0), 8);
        let moved = Flags::OPTIMIZED.with(Flags::UNEXPECTED);
        check_on(machine::AARCH64, gcc, &[v0, x0], moved);
        check_on(
            machine::AARCH64,
            Compiler::Clang,
            &[v0, x0],
            Flags::UNEXPECTED,
        );
    }

    #[test]
    fn a_structure_by_value_forgives_registers() {
        check(
            Compiler::Gcc,
            &[structure(RDI, 16), param(RSI, 8)],
            Flags::NONE,
        );
        check(
            Compiler::Gcc,
            &[param(RSI, 8), structure(NONE, 16)],
            Flags::OPTIMIZED,
        );
    }

    #[test]
    fn a_packed_structure_behind_the_registers_is_uncertain() {
        let gcc = Compiler::Gcc;
        let before = vec![packed(Place::Memory); 6];
        let count = |n: usize, last| [&before[..n], &[last]].concat();
        check(gcc, &count(5, packed(Place::Memory)), Flags::OPTIMIZED);
        let behind = Flags::OPTIMIZED.with(Flags::UNCERTAIN);
        check(gcc, &count(6, packed(Place::Memory)), behind);
        check(
            gcc,
            &count(6, structure(Place::Memory, 9)),
            Flags::OPTIMIZED,
        );
    }

    #[test]
    fn machines_without_a_list() {
        let params = [param(RDX, 8), param(RDI, 8)];
        for compiler in [Compiler::Gcc, Compiler::Clang] {
            check_on(machine::MIPS, compiler, &params, Flags::NONE);
            check_on(3, compiler, &[param(NONE, 4), params[0]], Flags::NONE);
        }
        check_on(
            machine::MIPS,
            Compiler::Gcc,
            &[param(Place::Memory, 8)],
            Flags::OPTIMIZED,
        );
        // A wide value takes one register on s390x.
        let r3 = param(Place::Register(3), 8);
        check_on(
            machine::S390,
            Compiler::Gcc,
            &[param(Place::Register(2), 16), r3],
            Flags::NONE,
        );
    }

    /// An abstract instance with parameters of sizes 8 and 16, then a concrete one.
    fn instances(order: [u32; 2], is_nocall: bool) -> ([Subprogram; 2], Vec<Parameter>) {
        let own = |name, size_bytes| Parameter {
            name: Name(name),
            ty: TypeId(name),
            size_bytes,
            ..Parameter::default()
        };
        let of = |origin, place| Parameter {
            origin: Some(origin),
            ..param(place, 0)
        };
        let functions = [
            Subprogram {
                param_count: 2,
                is_inlined: true,
                is_nocall,
                ..Subprogram::default()
            },
            Subprogram {
                origin: Some(0),
                first_param: 2,
                param_count: 2,
                ..Subprogram::default()
            },
        ];
        let params = vec![own(1, 8), own(2, 16), of(order[0], RDI), of(order[1], NONE)];
        (functions, params)
    }

    #[test]
    fn names_go_down_and_locations_up() {
        let abi = Abi::of(machine::X86_64, 8);
        let (mut functions, mut params) = instances([0, 1], false);
        walk_unit(&abi, Compiler::Gcc, &mut functions, &mut params);
        assert_eq!(functions[1].flags, Flags::OPTIMIZED);
        assert_eq!(functions[0].flags, Flags::OPTIMIZED);
        assert_eq!(params[3].name, Name(2));
        assert_eq!(params[3].size_bytes, 16);
        assert_eq!(params[0].location.place, RDI);

        let (mut functions, mut params) = instances([1, 0], false);
        walk_unit(&abi, Compiler::Gcc, &mut functions, &mut params);
        assert_eq!(functions[1].flags, Flags::OPTIMIZED.with(Flags::REORDERED));
        assert_eq!(params[2].name, Name(2));
        assert_eq!(
            (params[2].fate, params[3].fate),
            (Fate::Kept, Fate::Dropped)
        );
        assert_eq!(
            (params[1].fate, params[0].fate),
            (Fate::Kept, Fate::Dropped)
        );
    }

    #[test]
    fn clang_says_that_it_changed_a_signature() {
        let abi = Abi::of(machine::X86_64, 8);
        let (mut functions, mut params) = instances([0, 1], true);
        walk_unit(&abi, Compiler::Clang, &mut functions, &mut params);
        assert_eq!(functions[1].flags, Flags::OPTIMIZED.with(Flags::CHANGED));
        assert_eq!(params[3].fate, Fate::Dropped);
        let (mut functions, mut params) = instances([0, 1], true);
        walk_unit(&abi, Compiler::Gcc, &mut functions, &mut params);
        assert!(!functions[1].flags.has(Flags::CHANGED));
    }

    #[track_caller]
    fn check_changed(params: &mut [Parameter], expect: Flags, fates: &[Fate]) {
        let flags = walk_changed(&Abi::of(machine::X86_64, 8), params);
        assert_eq!(flags, expect.with(Flags::CHANGED));
        assert!(
            params
                .iter()
                .map(|param| param.fate)
                .eq(fates.iter().copied())
        );
    }

    #[test]
    fn what_clang_leaves_is_in_registers_one_after_the_other() {
        let optimized = Flags::OPTIMIZED;
        let (kept, dropped) = (Fate::Kept, Fate::Dropped);
        check_changed(
            &mut [param(NONE, 8), param(RDI, 8)],
            optimized,
            &[dropped, kept],
        );
        let moved = optimized.with(Flags::UNEXPECTED);
        check_changed(
            &mut [param(Place::Value, 8), param(RSI, 8)],
            moved,
            &[dropped, kept],
        );
        check_changed(&mut [param(Place::Memory, 8)], Flags::UNEXPECTED, &[kept]);
        check_changed(&mut [param(RDI, 8)], Flags::NONE, &[kept]);
        // DW_OP_piece 8, DW_OP_reg5, DW_OP_piece 8: only the second member of a structure is passed.
        let encoding = gimli::Encoding {
            format: gimli::Format::Dwarf32,
            version: 5,
            address_size: 8,
        };
        let order = gimli::RunTimeEndian::Little;
        let mut half = structure(RDI, 16);
        half.location = from_expression(&[0x93, 8, 0x55, 0x93, 8], encoding, order);
        let member = Fate::Member {
            offset_bytes: 8,
            size_bytes: 8,
        };
        check_changed(&mut [half, param(RSI, 8)], optimized, &[member, kept]);
        half.location = from_expression(&[0x55, 0x93, 8, 0x54, 0x93, 8], encoding, order);
        check_changed(&mut [half, param(RDX, 8)], Flags::NONE, &[kept, kept]);
    }

    #[test]
    fn indices_that_lead_nowhere_do_no_harm() {
        let abi = Abi::of(machine::X86_64, 8);
        let mut functions = [Subprogram {
            origin: Some(9),
            first_param: u32::MAX,
            param_count: 3,
            ..Subprogram::default()
        }];
        let mut stray = param(RDI, 8);
        stray.origin = Some(77);
        walk_unit(&abi, Compiler::Gcc, &mut functions, &mut [stray]);
        assert_eq!(functions[0].flags, Flags::NONE);
        functions[0].first_param = 0;
        functions[0].param_count = 1;
        functions[0].origin = Some(0);
        stray.origin = Some(0);
        walk_unit(&abi, Compiler::Gcc, &mut functions, &mut [stray]);
        assert_eq!(functions[0].flags, Flags::NONE);
    }

    #[test]
    fn packed_layouts() {
        assert!(!looks_packed(16, [(0, 1), (8, 8)]));
        assert!(looks_packed(9, [(0, 1), (1, 8)]));
        assert!(looks_packed(17, [(0, 8), (8, 8), (16, 1)]));
        assert!(!looks_packed(3, [(0, 1), (1, 1), (2, 0)]));
        assert!(!looks_packed(0, []));
        assert_eq!(member_param_name(b"s", b"b"), b"s__b");
    }

    #[test]
    fn producers() {
        assert_eq!(
            Compiler::of(b"Debian clang version 19.1.7"),
            Compiler::Clang
        );
        assert_eq!(Compiler::of(b"GNU C11 15.2.0 -mno-sse"), Compiler::Gcc);
        assert_eq!(Compiler::of(b""), Compiler::Gcc);
    }
}
