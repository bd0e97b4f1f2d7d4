//! x
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let t = std::time::Instant::now();
    let input = dwarf2btf::input::Input::open(std::path::Path::new(&args[1])).unwrap();
    let image = input.image().unwrap();
    eprintln!("image {:?}", t.elapsed());
    let mut o = dwarf2btf::options::Options::default();
    o.threads = args[2].parse().unwrap();
    if args.len() > 4 {
        o.languages = dwarf2btf::languages::LanguageFilter::new(&[] as &[&str], &["rust"]).unwrap();
    }
    let b = dwarf2btf::try_types(&image, &o).unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2)
    });
    std::fs::write(&args[3], b).unwrap();
    eprintln!("total {:?}", t.elapsed());
}
