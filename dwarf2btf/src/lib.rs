//! Reads DWARF in parallel and writes reproducible BTF.

pub mod abi;
pub mod features;
pub mod finding;
pub mod functions;
pub mod input;
pub mod kfuncs;
pub mod languages;
pub mod locations;
pub mod options;
pub mod output;
pub mod report;
pub mod symbols;
pub mod variables;

mod abbrev;
mod die;
mod finish;
mod lower;
mod names;
mod references;
mod subprograms;
mod unit;
mod units;
mod workers;

/// x
pub fn try_types(
    image: &input::Image<'_>,
    options: &options::Options,
) -> btf_core::Result<Vec<u8>> {
    use std::time::Instant;
    let t = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.get())
        .build()
        .unwrap();
    let (units, names) = pool.join(
        || units::Units::list(image),
        || names::Names::new(&image.debug_str.data),
    );
    let units = units?;
    eprintln!("list {:?} units {}", t.elapsed(), units.all.len());
    let context = unit::Context {
        image,
        units: &units,
        names: &names,
        languages: &options.languages,
        lowering: unit::Lowering {
            float: true,
            decl_tag: true,
            type_tag: true,
            enum64: true,
            variables: true,
        },
    };
    let merger = btf_core::dedup::Merger::new();
    let harvests = workers::read_units(&context, &merger, &pool, &|_| ())?;
    eprintln!("units {:?}", t.elapsed());
    let dies: u64 = harvests.iter().map(|h| h.die_count).sum();
    let findings: usize = harvests.iter().map(|h| h.findings.len()).sum();
    eprintln!("dies {dies} findings {findings}");
    let merged = merger.finish(harvests.into_iter().map(|h| h.types).collect(), &|i, f| {
        workers::reload(&context, i, f)
    });
    eprintln!("merged {:?}", t.elapsed());
    let numbering = merged.number(&[]);
    eprintln!("numbered {:?} {}", t.elapsed(), numbering.len());
    let mut builder = btf_core::builder::Builder::new();
    let mut strings: names::FastMap<u32, u32> = names::FastMap::default();
    let mut err = None;
    numbering.for_each_record(|kind, record| {
        let mut name = |w: &mut u32| {
            *w = *strings.entry(*w).or_insert_with(|| {
                names.with(btf_core::dedup::Name(*w), |s| {
                    builder.add_string(s).unwrap().0
                })
            });
        };
        name(&mut record[0]);
        let info = kind.info();
        if info.element.first() == Some(&btf_core::kind::Word::Name) {
            let mut i = 3;
            while i < record.len() {
                name(&mut record[i]);
                i += info.element.len();
            }
        }
        if let Err(e) = builder.push_record(record) {
            err.get_or_insert(e);
        }
    });
    if let Some(e) = err {
        return Err(e);
    }
    eprintln!("built {:?}", t.elapsed());
    let out = builder.write(image.order, btf_core::builder::WriteOptions::default());
    eprintln!("written {:?}", t.elapsed());
    out
}

/// Bridge until the phases stand here: types only.
///
/// # Errors
/// Those of reading.
pub fn encode(
    image: &input::Image<'_>,
    options: &options::Options,
    _progress: &(dyn Fn(report::Progress) + Sync),
) -> btf_core::Result<report::Encoded> {
    let btf = try_types(image, options)?;
    let mut encoded = report::Encoded::default();
    encoded.summary.size_bytes = btf.len() as u64;
    encoded.btf = btf;
    Ok(encoded)
}
