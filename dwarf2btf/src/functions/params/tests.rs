//! Parameters that are made by hand, and what the walk finds of each machine and compiler.

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
