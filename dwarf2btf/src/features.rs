//! What may be asked for by name, as pahole's `--btf_features` names it: one table.
//!
//! A list names features separated by commas. `default` stands for those that kernel builds ask for, `all` for all, and a
//! leading `+` puts the default ones in front; `none` stands for nothing. Lists of several options add up. Unlike pahole's, a
//! name that is not known is an error: a slip would silently take something out of a kernel. So is an empty list, which a
//! script writes whose variable is not set. Only under pahole's name neither is.
//!
//! To add a feature, add a row to the table.

use std::fmt::Write;

use btf_core::cli::nearest;

/// Declares [`Feature`] and [`FEATURES`] from one list of rows.
macro_rules! features {
    ($($variant:ident, $name:literal, $is_default:literal, $description:literal;)*) => {
        /// A part of the output that may be asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Feature { $(#[doc = $description] $variant,)* }

        /// All features, in the order in which pahole lists them.
        pub const FEATURES: &[FeatureInfo] = &[$(FeatureInfo {
            feature: Feature::$variant, name: $name, is_default: $is_default, description: $description,
        },)*];
    };
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct FeatureInfo {
    /// The feature.
    pub feature: Feature,
    /// Its name.
    pub name: &'static str,
    /// Whether it is on if nothing is asked for.
    pub is_default: bool,
    /// What it does.
    pub description: &'static str,
}

features! {
    EncodeForce, "encode_force", true, "leave out variables with invalid names or without a type instead of failing";
    Var, "var", true, "describe the variables of the per-CPU section";
    Float, "float", true, "describe floating-point types as FLOAT, not as INT";
    DeclTag, "decl_tag", true, "write the source's `btf_decl_tag` annotations";
    TypeTag, "type_tag", true, "write the source's `btf_type_tag` annotations";
    Enum64, "enum64", true, "write enumerations of more than 32 bits as ENUM64, not cut off";
    OptimizedFunc, "optimized_func", true, "always so: consider functions whose symbol has a suffix such as `.isra.0`";
    ConsistentFunc, "consistent_func", true, "leave out functions whose prototype differs between units";
    DeclTagKfuncs, "decl_tag_kfuncs", true, "tag the functions that `.BTF_ids` lists as kfuncs";
    ReproducibleBuild, "reproducible_build", false, "always so: the same input gives the same bytes";
    DistilledBase, "distilled_base", false, "write a distilled base; needs a base";
    GlobalVar, "global_var", false, "describe the variables of all sections";
    Attributes, "attributes", false, "write type attributes, such as the address space of arena pointers";
    TrueSignature, "true_signature", false, "describe functions by the signature that the compiler gave them";
    ForceCuMerging, "force_cu_merging", false, "always so: follow references from one unit to another";
    Layout, "layout", false, "add the layout section, which describes the kinds (Linux 7.2)";
}

impl Feature {
    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// The help for a list of features: how it is written, and what each one means.
#[must_use]
pub fn help() -> String {
    let mut help = "\
What to write: names separated by commas, as for pahole's `--btf_features`. `default` stands for those with a star, \
`all` for all, `none` for none; a `+` before the list adds to the default. Lists of several options add up.
"
    .to_owned();
    for row in FEATURES {
        let star = if row.is_default { '*' } else { ' ' };
        let _ = write!(help, "\n{star} {:<18} {}", row.name, row.description);
    }
    help
}

/// A set of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSet {
    /// A bit for each feature of the set.
    bits: u32,
    /// Those of them that were asked for by their own names, not by `default` or `all`.
    named: u32,
}

impl Default for FeatureSet {
    fn default() -> Self {
        Self::of(|row| row.is_default)
    }
}

/// A name that the table does not have, or an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFeature(pub String);

impl std::fmt::Display for UnknownFeature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("empty list of features; `none` stands for no feature at all");
        }
        write!(f, "unknown feature: `{}`", self.0)?;
        if self.0.starts_with('+') {
            return f.write_str("; `+` stands once, at the start of the list");
        }
        if self.0.starts_with('-') {
            return f.write_str("; none can be taken away, so name those that you want");
        }
        let names = FEATURES.iter().map(|row| row.name);
        match nearest(&self.0, names.clone().chain(["default", "all", "none"])) {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => write!(f, "; known are {}", names.collect::<Vec<_>>().join(",")),
        }
    }
}

impl std::error::Error for UnknownFeature {}

impl FeatureSet {
    /// No feature.
    pub const NONE: Self = Self { bits: 0, named: 0 };

    fn of(include: impl Fn(&FeatureInfo) -> bool) -> Self {
        let rows = FEATURES.iter().filter(|row| include(row));
        Self {
            bits: rows.fold(0, |bits, row| bits | row.feature.bit()),
            named: 0,
        }
    }

    /// Whether `feature` is in the set.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.bits & feature.bit() != 0
    }

    /// Whether `feature` was asked for by its own name.
    #[must_use]
    pub const fn names(self, feature: Feature) -> bool {
        self.named & feature.bit() != 0
    }

    /// The set with `feature` in it.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self {
            bits: self.bits | feature.bit(),
            named: self.named | feature.bit(),
        }
    }

    /// The set without `feature`.
    #[must_use]
    pub const fn without(self, feature: Feature) -> Self {
        Self {
            bits: self.bits & !feature.bit(),
            named: self.named & !feature.bit(),
        }
    }

    /// The features of the set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = &'static FeatureInfo> {
        FEATURES.iter().filter(move |row| self.has(row.feature))
    }

    /// Reads one list.
    ///
    /// # Errors
    /// The first name that is not known, or an empty list.
    pub fn parse(list: &str) -> Result<Self, UnknownFeature> {
        if list.split(',').all(|name| name.trim().is_empty()) {
            return Err(UnknownFeature(String::new()));
        }
        let (set, unknown) = Self::parse_known(list);
        unknown.into_iter().next().map_or(Ok(set), Err)
    }

    /// Reads one list, and gives the names that are not known beside the set of those that are.
    #[must_use]
    pub fn parse_known(list: &str) -> (Self, Vec<UnknownFeature>) {
        let (mut set, list) = match list.strip_prefix('+') {
            Some(rest) => (Self::default(), rest),
            None => (Self::NONE, list),
        };
        let mut unknown = Vec::new();
        for name in list.split(',').map(str::trim) {
            let row = FEATURES.iter().find(|row| row.name == name);
            match (name, row) {
                ("" | "none", _) => {}
                ("default", _) => set = set.or(Self::default()),
                ("all", _) => set = set.or(Self::of(|_| true)),
                (_, Some(row)) => set = set.with(row.feature),
                (_, None) => unknown.push(UnknownFeature(name.to_owned())),
            }
        }
        (set, unknown)
    }

    /// The union of several lists; the default set if there is none.
    #[must_use]
    pub fn union(sets: &[Self]) -> Self {
        if sets.is_empty() {
            return Self::default();
        }
        sets.iter().fold(Self::NONE, |all, set| all.or(*set))
    }

    const fn or(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
            named: self.named | other.named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expect: &str) {
        let set = FeatureSet::parse(list).unwrap();
        let names: Vec<_> = set.iter().map(|row| row.name).collect();
        assert_eq!(names.join(","), expect);
    }

    const DEFAULT: &str = "encode_force,var,float,decl_tag,type_tag,enum64,optimized_func,consistent_func,decl_tag_kfuncs";

    #[test]
    fn rows_stand_in_the_order_of_their_bits() {
        for (index, row) in FEATURES.iter().enumerate() {
            assert_eq!(row.feature as usize, index);
        }
    }

    #[test]
    fn lists_name_features_in_any_order() {
        check("none", "");
        check("layout,var", "var,layout");
        check(" var , float,", "var,float");
        check("default", DEFAULT);
        check("layout,default", &format!("{DEFAULT},layout"));
        check("+layout", &format!("{DEFAULT},layout"));
        check("+", DEFAULT);
        assert_eq!(
            FeatureSet::parse("all").unwrap().iter().count(),
            FEATURES.len()
        );
    }

    #[test]
    fn a_feature_is_named_by_its_own_name_only() {
        let names = |list| FeatureSet::parse(list).unwrap().names(Feature::Layout);
        assert!(names("layout") && names("+layout") && !names("all") && !names("+var"));
    }

    #[test]
    fn several_lists_add_up_and_none_is_the_default() {
        let lists = ["var", "float"].map(|list| FeatureSet::parse(list).unwrap());
        let names: Vec<_> = FeatureSet::union(&lists)
            .iter()
            .map(|row| row.name)
            .collect();
        assert_eq!(names, ["var", "float"]);
        assert_eq!(FeatureSet::union(&[]), FeatureSet::default());
        assert_eq!(FeatureSet::union(&[FeatureSet::NONE]), FeatureSet::NONE);
        let layout = FeatureSet::NONE.with(Feature::Layout);
        assert!(layout.has(Feature::Layout));
        assert_eq!(layout.without(Feature::Layout), FeatureSet::NONE);
    }

    #[test]
    fn unknown_names_are_errors_with_a_hint() {
        let error = FeatureSet::parse("var,flaot").unwrap_err().to_string();
        assert_eq!(error, "unknown feature: `flaot`; did you mean `float`?");
        for (list, expect) in [
            ("+var,+float", "unknown feature: `+float`; `+` stands once"),
            (
                "default,-var",
                "unknown feature: `-var`; none can be taken away",
            ),
            ("", "empty list"),
            (" , ", "empty list"),
        ] {
            let error = FeatureSet::parse(list).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{error}");
        }
        let (set, unknown) = FeatureSet::parse_known("var,new,+float");
        assert_eq!(set, FeatureSet::NONE.with(Feature::Var));
        assert_eq!(
            unknown,
            ["new", "+float"].map(|name| UnknownFeature(name.into()))
        );
        assert_eq!(FeatureSet::parse_known(""), (FeatureSet::NONE, Vec::new()));
        let error = FeatureSet::parse("nothing_like_it")
            .unwrap_err()
            .to_string();
        assert!(error.contains("known are encode_force,var"), "{error}");
    }
}
