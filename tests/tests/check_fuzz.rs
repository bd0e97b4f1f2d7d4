//! Goal: we say of any BTF what the running kernel says, also of what nobody has thought of.
//! Method: random graphs whose records are right one by one, and the same damaged, from a fixed seed; each goes to
//! `BPF_BTF_LOAD` and to `validate::check` for users and the running kernel's version. Every disagreement is our bug.

use btf_core::validate::{KernelVersion, Profile, Target, check};
use btf_dump::live::{Answer, load};
use btf_tests::noise;
use btf_tests::program::skip;
use btf_tests::random::Random;

/// How many blobs are tried; `BTF_TESTS_ROUNDS` asks for more.
const ROUNDS: usize = 20_000;

/// How many types a graph has at most; small ones have a chance to be right, large ones are deep.
const SIZES: [usize; 5] = [4, 8, 12, 20, 45];

/// A number that the environment may set.
fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn we_say_of_noise_what_the_kernel_says() {
    compare(ROUNDS, 1000, |random, round| {
        noise::graph(random, SIZES[round % SIZES.len()])
    });
}

/// In structures that are right otherwise, or none of the other rules would let the kernel look at them.
#[test]
fn we_say_of_special_fields_what_the_kernel_says() {
    compare(ROUNDS / 5, 4, |random, _| noise::special(random));
}

/// Compares our answer with the kernel's for what `make` makes, a third of it damaged; more than `least` must be accepted.
#[track_caller]
fn compare(rounds: usize, least: usize, make: impl Fn(&mut Random, usize) -> Vec<u8>) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let Ok(kernel) = release.trim().parse::<KernelVersion>() else {
        skip("the running kernel is older than the rules that are known");
        return;
    };
    let target = Target::new(Profile::User, kernel);
    let seed = number("BTF_TESTS_SEED").unwrap_or(1) as u64;
    let mut random = Random::new(seed);
    let mut accepted = 0;
    for round in 0..number("BTF_TESTS_ROUNDS").unwrap_or(rounds) {
        let mut bytes = make(&mut random, round);
        if round % 3 == 0 {
            bytes = noise::damage(&mut random, &bytes);
        }
        let answer = match load(&bytes) {
            Ok(answer) => answer,
            Err(error) => {
                skip(&format!(
                    "the kernel does not take BTF from this process: {error}"
                ));
                return;
            }
        };
        let checked = check(&bytes, None, target);
        accepted += usize::from(answer == Answer::Accepted);
        assert_eq!(
            checked.is_accepted(),
            answer == Answer::Accepted,
            "round {round} of seed {seed}: {answer:?}\nours: {:#?}\n{bytes:02x?}",
            checked.findings
        );
    }
    // Both answers must come up.
    assert!(accepted > least, "{accepted}");
}

/// What Linux says of a version of its own, which no kernel at hand can be asked: nothing may end in a panic or take long.
#[test]
fn no_noise_is_too_much() {
    let mut random = Random::new(7);
    let base = noise::graph(&mut random, 20);
    let base = check(&base, None, Profile::Structural.into()).btf;
    let base = base.map(std::sync::Arc::new);
    for round in 0..4000 {
        let mut bytes = noise::graph(&mut random, SIZES[round % SIZES.len()]);
        if round % 2 == 0 {
            bytes = noise::damage(&mut random, &bytes);
        }
        for profile in [Profile::Structural, Profile::Vmlinux, Profile::Module] {
            for kernel in KernelVersion::all() {
                let base = base.clone().filter(|_| profile == Profile::Module);
                for finding in check(&bytes, base, Target::new(profile, kernel)).findings {
                    assert!(!finding.message().is_empty());
                }
            }
        }
    }
}
