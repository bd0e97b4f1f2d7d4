//! The two renderings of every report.

use super::*;
use crate::functions::Reason;
use crate::variables::VariableReason;

fn dropped() -> FunctionReport {
    FunctionReport {
        name: b"probe".to_vec(),
        states: vec![FunctionState {
            unit: 3,
            unit_name: b"a.c".to_vec(),
            die_offset: 0x40,
            address: Some(0x1000),
            section: None,
            prototype: "int probe(int x)".into(),
            parameters: vec![(b"x".to_vec(), Some("rdi".into())), (b"y".to_vec(), None)],
        }],
        symbols: vec![FunctionSymbol {
            name: b"probe.isra.0".to_vec(),
            address: 0x1000,
            section: Some(b".text".to_vec()),
        }],
        verdict: FunctionVerdict::Dropped {
            reasons: vec![Reason::AmbiguousAddress.into()],
            detail: Some("two addresses".into()),
        },
        sightings: None,
    }
}

#[test]
fn a_function_that_is_left_out() {
    let text = "\
probe: left out: ambiguous address (two addresses)
  seen in a.c, <0x40> at 0x1000
    int probe(int x)
      x: rdi
      y
  symbol probe.isra.0 at 0x1000 in .text
";
    assert_eq!(dropped().to_text(), text);
    let json = r#"{"type":"function","name":"probe","verdict":"dropped","reasons":[{"reason":"ambiguous-address","text":"ambiguous address"}],"detail":"two addresses","states":[{"unit":3,"unit_name":"a.c","die_offset":64,"address":"0x1000","prototype":"int probe(int x)","parameters":[{"name":"x","location":"rdi"},{"name":"y"}]}],"symbols":[{"name":"probe.isra.0","address":"0x1000","section":".text"}]}"#;
    assert_eq!(dropped().to_json().trim_end(), json);
}

#[test]
fn a_function_that_is_kept_and_one_that_is_nowhere() {
    let mut report = dropped();
    let rule = "its address is that of a symbol".to_owned();
    report.verdict = FunctionVerdict::Kept { rule };
    report.states.clear();
    report.symbols.clear();
    let text = "\
probe: kept: its address is that of a symbol
  seen in no unit
  no symbol of this name
";
    assert_eq!(report.to_text(), text);
    let json =
        r#""verdict":"kept","rule":"its address is that of a symbol","states":[],"symbols":[]"#;
    assert!(report.to_json().contains(json));
}

#[test]
fn a_function_without_a_symbol_is_counted_not_listed() {
    let mut report = dropped();
    report.verdict = FunctionVerdict::Dropped {
        reasons: vec![Why::INLINED],
        detail: None,
    };
    report.states.clear();
    report.symbols.clear();
    report.sightings = Some(Sightings {
        units_with_code: 0,
        units_without_code: 1_200,
        units_declaring: 1,
        first: Some((0, b"a.c".to_vec(), 0x2a)),
    });
    let text = "\
probe: left out: inlined wherever it is used, so that it has no symbol
  without code in 1,200 units
  only declared in 1 unit
  first in a.c, <0x2a>
  no symbol of this name
";
    assert_eq!(report.to_text(), text);
    let json = r#""symbols":[],"sightings":{"units_with_code":0,"units_without_code":1200,"units_declaring":1,"unit":0,"unit_name":"a.c","die_offset":42}}"#;
    assert!(report.to_json().trim_end().ends_with(json));
}

#[test]
fn a_symbol_answers_by_its_whole_name() {
    assert!(dropped().answers(b"probe"));
    assert!(dropped().answers(b"probe.isra.0"));
    assert!(!dropped().answers(b"probe.isra.1"));
}

#[test]
fn a_variable_that_is_left_out() {
    let variable = VariableReport {
        name: b"v\xff".to_vec(),
        unit: 1,
        die_offset: 0x10,
        reason: VariableReason::NoSize.into(),
    };
    let text = "v\\xff: left out: type without a size: seen in a.c, <0x10>";
    assert_eq!(variable.to_text(b"a.c"), text);
    let json = r#"{"type":"variable","name_base64":"dv8=","unit":1,"unit_name":"a.c","die_offset":16,"reason":"no-size","text":"type without a size"}"#;
    assert_eq!(variable.to_json(b"a.c").trim_end(), json);
}

#[test]
fn a_finding_names_its_place() {
    let finding = Finding {
        unit: 2,
        die_offset: 0x2a,
        kind: FindingKind::Atomic,
    };
    let text = "b\\u{1b}.c, <0x2a>: _Atomic qualifier, left out";
    assert_eq!(finding_to_text(&finding, b"b\x1b.c"), text);
    let json = r#"{"type":"finding","unit":2,"unit_name":"b\u001b.c","die_offset":42,"kind":"atomic","text":"_Atomic qualifier, left out"}"#;
    assert_eq!(finding_to_json(&finding, b"b\x1b.c").trim_end(), json);
    assert!(finding_to_text(&finding, b"").starts_with("unit 2, <0x2a>: "));
    assert_eq!(
        kebab_case(FindingKind::PointerToMember),
        "pointer-to-member"
    );
}

fn summary() -> Summary {
    let left_out = |what, reason, count| LeftOut {
        what,
        reason,
        count,
    };
    Summary {
        output: Some("out.btf".into()),
        units: 2_578,
        units_excluded: 12,
        dies: 19_300_000,
        types: 112_771,
        functions: 49_596,
        variables: 400,
        size_bytes: 6_300_000,
        left_out: vec![
            left_out("functions", Reason::UnexpectedRegister.into(), 1),
            left_out("functions", Reason::InconsistentPrototype.into(), 1_164),
            left_out("variables", VariableReason::NoName.into(), 0),
        ],
    }
}

#[test]
fn the_summary_ranks_what_was_left_out() {
    let text = summary().to_text(3, Duration::from_millis(468));
    let expect = "    output  out.btf
     units  2,578, 12 left out by language
     types  112,771 in 6.3 MB
 functions  49,596
 variables  400
  left out  1,164 functions: inconsistent prototype
  left out  1 function: unexpected register for a parameter
  findings  3, listed by `-v`
      time  0.47 s";
    assert!(text.starts_with(expect), "{text}");
    let json = summary().to_json(&[("units", Duration::from_micros(1500))]);
    let expect = r#""left_out":[{"what":"functions","reason":"inconsistent-prototype","text":"inconsistent prototype","count":1164},{"what":"functions","reason":"unexpected-register","text":"unexpected register for a parameter","count":1}],"phases":[{"name":"units","seconds":0.001500}]"#;
    assert!(json.contains(expect), "{json}");
}

#[test]
fn the_summary_fits_a_screen() {
    let mut summary = summary();
    for number in 0..50 {
        let text: &str = Box::leak(format!("reason {number}").into_boxed_str());
        let reason = Why { key: "", text };
        summary.left_out.push(LeftOut {
            what: "types",
            reason,
            count: 1,
        });
    }
    let text = summary.to_text(0, Duration::ZERO);
    assert!(text.lines().count() <= 24);
    assert!(text.contains("44 more for 44 other reasons"), "{text}");
}
