//! The two renderings of every report.

use super::*;

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
            parameters: vec![(b"x".to_vec(), "rdi".into())],
        }],
        symbols: vec![FunctionSymbol {
            name: b"probe.isra.0".to_vec(),
            address: 0x1000,
            section: Some(1),
        }],
        verdict: FunctionVerdict::Dropped {
            reasons: vec!["ambiguous address"],
            detail: Some("two addresses".into()),
        },
    }
}

#[test]
fn a_function_that_is_left_out() {
    let text = "\
probe: left out: ambiguous address (two addresses)
  seen in a.c, <0x40> at 0x1000
    int probe(int x)
      x in rdi
  symbol probe.isra.0 at 0x1000 in section 1
";
    assert_eq!(dropped().to_text(), text);
    let json = r#"{"type":"function","name":"probe","verdict":"dropped","reasons":["ambiguous address"],"detail":"two addresses","states":[{"unit":3,"unit_name":"a.c","die_offset":64,"address":4096,"prototype":"int probe(int x)","parameters":[{"name":"x","location":"rdi"}]}],"symbols":[{"name":"probe.isra.0","address":4096,"section":1}]}"#;
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
        units: 2_578,
        units_excluded: 12,
        dies: 19_300_000,
        types: 112_771,
        functions: 49_596,
        variables: 400,
        size_bytes: 6_300_000,
        left_out: vec![
            left_out("functions", "unexpected register", 331),
            left_out("functions", "inconsistent prototype", 1_164),
            left_out("variables", "no name", 0),
        ],
    }
}

#[test]
fn the_summary_ranks_what_was_left_out() {
    let text = summary().to_text(3, Duration::from_millis(468));
    let expect = "     units  2,578, 12 left out by language
     types  112,771 in 6.3 MB
 functions  49,596
 variables  400
  left out  1,164 functions: inconsistent prototype
  left out  331 functions: unexpected register
  findings  3, listed by `-v`
      time  0.47 s";
    assert!(text.starts_with(expect), "{text}");
    let json = summary().to_json(&[("units", Duration::from_micros(1500))]);
    let expect = r#""left_out":[{"what":"functions","reason":"inconsistent prototype","count":1164},{"what":"functions","reason":"unexpected register","count":331}],"phases":[{"name":"units","seconds":0.001500}]"#;
    assert!(json.contains(expect), "{json}");
}

#[test]
fn the_summary_fits_a_screen() {
    let mut summary = summary();
    for number in 0..50 {
        let reason: &str = Box::leak(format!("reason {number}").into_boxed_str());
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

#[test]
fn phases_are_indented_by_their_names() {
    let second = Duration::from_secs(1);
    let phases = [("units", second), ("units/read", second / 2)];
    let tree = phase_tree(&phases, second * 2);
    let lines: Vec<_> = tree.lines().collect();
    assert_eq!(
        lines[0],
        "total                               2.00 s 100.0 %"
    );
    assert_eq!(
        lines[1],
        "  units                             1.00 s  50.0 %"
    );
    assert_eq!(
        lines[2],
        "    read                            0.50 s  25.0 %"
    );
}
