//! Damaged files of every format: each variant either loads or is refused with a message that names it. Nothing panics, hangs or takes much memory.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use ganymede::data::{Channels, Fit, ImageSpec, Source};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use rand_distr::{Distribution, Uniform};
use rand_pcg::Pcg64;

const VARIANTS_PER_SAMPLE: u64 = 40;
/// Far above what the samples need and far below what their lying headers announce.
const MAX_MEMORY_MIB: u64 = 1024;

/// One sample: the files of a folder and which of them is damaged; `alone` says that the file itself is opened, not the folder.
struct Sample {
    files: Vec<(&'static str, Vec<u8>)>,
    alone: bool,
}

fn picture(tint: u8) -> DynamicImage {
    RgbaImage::from_fn(24, 18, |x, y| Rgba([tint, (x * 10) as u8, (y * 14) as u8, 255 - (x / 8) as u8])).into()
}

fn encoded(tint: u8, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = if format == ImageFormat::Jpeg { picture(tint).to_rgb8().into() } else { picture(tint) };
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn zipped() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, bytes: &[u8]| {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    };
    for (tint, name) in (1..).zip(["cat/1.png", "cat/2.png", "dog/1.png"]) {
        add(name, &encoded(tint, ImageFormat::Png));
    }
    add("labels.csv", b"file,label\ncat/1.png,a\ncat/2.png,b\ndog/1.png,a\n");
    writer.finish().unwrap().into_inner()
}

fn idx_images() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 6, 0, 0, 0, 5];
    bytes.extend((0..20 * 6 * 5).map(|i| (i * 7 % 256) as u8));
    bytes
}

fn idx_labels() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1, 0, 0, 0, 20];
    bytes.extend((0..20).map(|i| i % 4));
    bytes
}

fn table() -> Vec<u8> {
    (0..30).fold("width,height,\"depth, cm\"\n".to_string(), |csv, i| csv + &format!("{i},{}.5,-{i}e-3\n", i * i)).into_bytes()
}

/// The first file of each is the one to damage.
fn samples() -> Vec<Sample> {
    let good = |name| (name, encoded(200, ImageFormat::Png));
    let among = |name, bytes| Sample { files: vec![(name, bytes), good("z1.png"), good("z2.png")], alone: false };
    let alone = |name, bytes| Sample { files: vec![(name, bytes)], alone: true };
    let beside_images = |name, bytes| Sample { files: vec![(name, bytes), ("a-images-idx3-ubyte", idx_images())], alone: false };
    vec![
        among("a.png", encoded(1, ImageFormat::Png)),
        among("a.jpg", encoded(2, ImageFormat::Jpeg)),
        among("a.gif", encoded(3, ImageFormat::Gif)),
        among("a.webp", encoded(4, ImageFormat::WebP)),
        among("a.bmp", encoded(5, ImageFormat::Bmp)),
        among("labels.csv", b"file,label\nz1.png,cat\nz2.png,dog\n".to_vec()),
        alone("a.zip", zipped()),
        alone("a.csv", table()),
        alone("a-images-idx3-ubyte", idx_images()),
        alone("a-images-idx3-ubyte.gz", gzipped(&idx_images())),
        beside_images("a-labels-idx1-ubyte", idx_labels()),
        beside_images("a-labels-idx1-ubyte.gz", gzipped(&idx_labels())),
    ]
}

fn below(rng: &mut Pcg64, n: usize) -> usize {
    Uniform::new(0, n.max(1)).unwrap().sample(rng)
}

/// Damage of one of eight kinds, always the same for the same generator state.
fn damage(bytes: &mut Vec<u8>, kind: u64, rng: &mut Pcg64) {
    let n = bytes.len();
    match kind % 8 {
        0 => bytes.truncate(below(rng, n)),
        1 => bytes[below(rng, n)] ^= 1 << below(rng, 8),
        2 => (0..16).for_each(|_| bytes[below(rng, n)] = below(rng, 256) as u8),
        // The header lies: two or four bytes near the beginning say something very large, or nothing.
        3 | 4 => {
            let at = below(rng, n.min(40).saturating_sub(4));
            let end = (at + [2, 4][below(rng, 2)]).min(n);
            bytes[at..end].fill([0xff, 0x7f, 0x00][below(rng, 3)]);
        }
        5 => (0..=below(rng, 300)).for_each(|_| bytes.push(below(rng, 256) as u8)),
        6 => swap_blocks(bytes, rng),
        _ => {
            let at = below(rng, n);
            let length = below(rng, n - at).max(1);
            bytes.drain(at..at + length);
        }
    }
}

/// Two blocks of the same length change places, one in each half.
fn swap_blocks(bytes: &mut [u8], rng: &mut Pcg64) {
    let (first, second) = bytes.split_at_mut(bytes.len() / 2);
    let length = below(rng, first.len() / 2) + 1;
    let (a, b) = (below(rng, first.len() - length), below(rng, second.len() - length));
    first[a..a + length].swap_with_slice(&mut second[b..b + length]);
}

/// Opens and decodes; gives back the message where that is refused.
fn read(path: &Path) -> Option<String> {
    match Source::open(path.to_str().unwrap()).and_then(|source| check(&source)) {
        Ok(()) => None,
        Err(e) => Some(e.to_string()),
    }
}

fn check(source: &Source) -> ganymede::Result<()> {
    assert!(source.describe().iter().all(|(heading, text)| !heading.is_empty() && !text.is_empty()));
    match source {
        Source::Points(table) => {
            assert!(table.values.iter().all(|v| v.is_finite()));
            assert_eq!(table.values.len(), table.n_rows() * table.dim());
        }
        Source::Table(table) => table.table.check()?,
        Source::Tables(tables) => tables.tables.iter().try_for_each(|table| table.table.check())?,
        Source::Images(index) => {
            let set = index.load(&ImageSpec { width: 8, height: 8, channels: Channels::Rgb, fit: Fit::Crop }, &mut |_, _| {})?;
            assert!((0..set.len()).all(|i| set.picture(i).len() == 8 * 8 * 3));
            assert_eq!(set.labels.len(), if set.classes.is_empty() { 0 } else { set.len() });
            assert!(set.labels.iter().all(|&label| (label as usize) < set.classes.len()));
            assert!(set.skipped.iter().all(|s| !s.reason.is_empty() && !s.path.as_os_str().is_empty()));
        }
    }
    Ok(())
}

/// The most memory this process has had resident, where the system tells.
fn peak_memory_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? >> 10)
}

#[test]
fn damaged_files_load_or_are_refused_by_name() {
    let (mut n_refused, mut n_loaded) = (0, 0);
    for (stream, Sample { files, alone }) in (0..).zip(samples()) {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let (name, original) = &files[0];
        let victim = dir.path().join(name);
        let opened = if alone { victim.clone() } else { dir.path().to_path_buf() };
        assert_eq!(read(&opened), None, "{name} is good before it is damaged");
        for variant in 0..VARIANTS_PER_SAMPLE {
            let mut bytes = original.clone();
            damage(&mut bytes, variant, &mut Pcg64::new(u128::from(variant), stream));
            fs::write(&victim, &bytes).unwrap();
            match read(&opened) {
                None => n_loaded += 1,
                Some(message) => {
                    n_refused += 1;
                    let is_named = message.contains(&*dir.path().to_string_lossy());
                    assert!(is_named && message.contains("; "), "variant {variant} of {name}: {message}");
                }
            }
        }
    }
    assert!(n_refused > 100 && n_loaded > 100, "{n_refused} refused, {n_loaded} loaded");
    if let Some(peak) = peak_memory_mib() {
        assert!(peak < MAX_MEMORY_MIB, "{peak} MiB");
    }
}
