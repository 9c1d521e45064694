//! Data that is part of the program.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use flate2::read::GzDecoder;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use super::attributes::AttributeTable;
use super::channels::Channels;
use super::image_index::{ImageIndex, RawPictures};
use super::points::{Modes, PointTable};
use super::{Source, idx, labels};
use crate::error::{Error, Result};

/// Data that is part of the program, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// What to type instead of a path.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// Licence as an SPDX expression.
    pub license: &'static str,
    /// Source and licence notice.
    pub notice: &'static str,
}

/// All built-in data; the first is what training starts with when no data is named.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "avatars",
        summary: "6,000 pixel-art faces, 16 x 16, colour",
        license: "CC0-1.0",
        notice: include_str!("../../assets/avatars/NOTICE"),
    },
    BuiltIn {
        name: "digits",
        summary: "5,000 handwritten digits in 10 classes, 28 x 28, grey (from MNIST)",
        license: "CC-BY-SA-3.0",
        notice: include_str!("../../assets/digits/NOTICE"),
    },
    BuiltIn {
        name: "stacked-digits",
        summary: "60,000 pictures of three of the digits, one in each colour channel: 1,000 kinds, 32 x 32 (StackedMNIST)",
        license: "CC-BY-SA-3.0",
        notice: include_str!("../../assets/digits/NOTICE"),
    },
    BuiltIn { name: "ring", summary: "8 narrow Gaussians on a circle, 100,000 points of the plane", license: "CC0-1.0", notice: COMPUTED },
    BuiltIn { name: "grid", summary: "25 Gaussians on a square grid, 100,000 points of the plane", license: "CC0-1.0", notice: COMPUTED },
];

const COMPUTED: &str = "Computed; the mixture is the one of PacGAN (Lin, Khetan, Fanti, Oh 2018, section 4.1).\n";
const N_POINTS: usize = 100_000;
/// Pixels of a side of stacked digits, as in the literature: two of black around each.
const STACKED_SIDE: usize = 32;

/// The built-in data of that name.
pub(super) fn open(name: &str) -> Result<Option<Source>> {
    let Some(built_in) = BUILT_IN.iter().find(|b| b.name == name) else { return Ok(None) };
    let mut source = match name {
        "avatars" => Source::Images(avatars()?),
        "digits" => Source::Images(digits()?),
        "stacked-digits" => Source::Images(ImageIndex::stack(name, digits()?, STACKED_SIDE).ok_or_else(|| damaged(name))?),
        "ring" => Source::Points(mixture(name, ring(), 0.01)),
        _ => Source::Points(mixture(name, grid(), 0.05)),
    };
    match &mut source {
        Source::Images(index) => index.license = built_in.license.into(),
        Source::Points(table) => table.license = built_in.license.into(),
        Source::Table(_) | Source::Tables(_) => {}
    }
    Ok(Some(source))
}

fn damaged(name: &str) -> Error {
    Error::data(name, "the data inside the program is damaged", "install the program again")
}

fn inflated(name: &str, gz: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(gz).read_to_end(&mut bytes).map_err(|_| damaged(name))?;
    Ok(bytes)
}

fn digits() -> Result<ImageIndex> {
    idx::from_parts(
        "digits",
        include_bytes!("../../assets/digits/images-idx3-ubyte.gz"),
        include_bytes!("../../assets/digits/labels-idx1-ubyte.gz"),
    )
}

fn avatars() -> Result<ImageIndex> {
    let bytes = inflated("avatars", include_bytes!("../../assets/avatars/faces.pal.gz"))?;
    let raw = faces(&bytes).ok_or_else(|| damaged("avatars"))?;
    let mut index = ImageIndex::raw("avatars", raw, "g");
    let csv = inflated("avatars", include_bytes!("../../assets/avatars/labels.csv.gz"))?;
    let file = labels::LabelsFile { path: PathBuf::from("labels.csv"), base: String::new(), bytes: csv };
    index.attributes = labels::find(&index.entries, Some(file))?.attributes.map(|table| AttributeTable { on_request: true, ..table });
    Ok(index)
}

/// Unpacks `faces.pal`; the layout is described in `assets/README.md`.
fn faces(mut bytes: &[u8]) -> Option<RawPictures> {
    let mut take = |n: usize| bytes.split_off(..n);
    let u16s = |bytes: &[u8]| bytes.chunks_exact(2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))).collect::<Vec<_>>();
    let header = u16s(take(6)?);
    let (n, side, n_colours) = (header[0], header[1], header[2]);
    let palette: Vec<&[u8]> = take(3 * n_colours)?.chunks_exact(3).collect();
    let n_own = take(n)?;
    let own = u16s(take(2 * n_own.iter().map(|&c| usize::from(c)).sum::<usize>())?);
    let indices = take(n * side * side)?;
    let mut pixels = Vec::with_capacity(indices.len() * 3);
    let mut first = 0;
    for (face, &count) in indices.chunks_exact(side * side).zip(n_own) {
        let own = own.get(first..first + usize::from(count))?;
        first += usize::from(count);
        for &i in face {
            pixels.extend_from_slice(palette.get(*own.get(usize::from(i))?)?);
        }
    }
    Some(RawPictures { pixels: Arc::new(pixels), width: side, height: side, channels: Channels::Rgb })
}

/// Eight points on the unit circle (PacGAN, section 4.1: variance 1e-4).
fn ring() -> Vec<Vec<f32>> {
    let angle = |i: u32| f64::from(i) * std::f64::consts::TAU / 8.0;
    (0..8).map(|i| vec![angle(i).cos() as f32, angle(i).sin() as f32]).collect()
}

/// The points of {-4, -2, 0, 2, 4} squared (PacGAN, section 4.1: variance 0.0025).
fn grid() -> Vec<Vec<f32>> {
    (0..25).map(|i| vec![(i / 5) as f32 * 2.0 - 4.0, (i % 5) as f32 * 2.0 - 4.0]).collect()
}

/// Rows drawn from each mode in turn, always the same ones.
fn mixture(name: &str, centers: Vec<Vec<f32>>, std: f32) -> PointTable {
    let mut rng = Pcg64::new(0x6761_6e79_6d65_6465, 0xa02b_dbf7_bb3c_0a7a);
    let normal = |rng: &mut Pcg64| -> f64 { StandardNormal.sample(rng) };
    let mut values = Vec::with_capacity(N_POINTS * 2);
    for center in centers.iter().cycle().take(N_POINTS) {
        values.extend(center.iter().map(|&c| (f64::from(c) + f64::from(std) * normal(&mut rng)) as f32));
    }
    PointTable {
        name: name.into(),
        columns: vec!["x".into(), "y".into()],
        values,
        modes: Some(Modes { centers, std }),
        license: "CC0-1.0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Fit, ImageSpec};
    use sha2::{Digest, Sha256};

    fn images(name: &str) -> ImageIndex {
        match open(name).unwrap().unwrap() {
            Source::Images(index) => index,
            _ => panic!("not pictures"),
        }
    }

    fn points(name: &str) -> PointTable {
        match open(name).unwrap().unwrap() {
            Source::Points(table) => table,
            _ => panic!("not points"),
        }
    }

    fn pixel_hash(index: &ImageIndex, channels: Channels) -> String {
        let (width, height) = index.uniform_size().unwrap();
        let spec = ImageSpec { width: width as usize, height: height as usize, channels, fit: Fit::Crop };
        let set = index.load(&spec, &mut |_, _| {}).unwrap();
        crate::data::image_set::hexadecimal(&Sha256::digest((0..set.len()).flat_map(|i| set.picture(i).into_owned()).collect::<Vec<_>>()))
    }

    #[test]
    fn the_avatars_are_unpacked_as_they_were_packed() {
        let index = images("avatars");
        assert_eq!((index.entries.len(), index.uniform_size(), index.channels()), (6000, Some((16, 16)), Channels::Rgb));
        assert!(index.classes.is_empty());
        assert_eq!(pixel_hash(&index, Channels::Rgb), "e39d0a1bc539ca247b1812ac1d6b7a51c3f785d1c5e0c4ea7c155babc3d20d28");
    }

    #[test]
    fn the_avatars_have_attributes_on_request() {
        let table = images("avatars").attributes.unwrap();
        let glasses = table.names.iter().position(|name| name == "glasses").unwrap();
        assert!(table.on_request && table.names.len() == 11, "{:?}", table.names);
        assert_eq!(table.rows.iter().flatten().filter(|row| row[glasses].is_empty()).count(), 4795);
    }

    #[test]
    fn the_digits_are_balanced() {
        let index = images("digits");
        assert_eq!((index.entries.len(), index.uniform_size(), index.channels()), (5000, Some((28, 28)), Channels::Grey));
        assert_eq!(index.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(index.class_counts(), [500; 10]);
        assert_eq!(pixel_hash(&index, Channels::Grey), "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f");
    }

    #[test]
    fn ring_and_grid_have_the_published_means_and_spread() {
        for (name, n_modes, std) in [("ring", 8, 0.01), ("grid", 25, 0.05)] {
            let table = points(name);
            let modes = table.modes.clone().unwrap();
            assert_eq!((table.n_rows(), table.dim(), modes.centers.len(), modes.std), (100_000, 2, n_modes, std));
            let mut squares = 0.0;
            let mut within_3 = 0;
            for (i, row) in table.values.chunks(2).enumerate() {
                let center = &modes.centers[i % n_modes];
                let d2 = f64::from(row[0] - center[0]).powi(2) + f64::from(row[1] - center[1]).powi(2);
                squares += d2;
                within_3 += usize::from(d2.sqrt() <= 3.0 * f64::from(std));
            }
            let measured = (squares / 200_000.0).sqrt();
            assert!((measured / f64::from(std) - 1.0).abs() < 0.01, "{name}: {measured}");
            // In the plane 1 - exp(-9/2) = 98.89 % lie within three standard deviations.
            assert!((98_700..99_050).contains(&within_3), "{name}: {within_3}");
        }
        assert!(points("ring").modes.unwrap().centers.iter().all(|c| (c[0].hypot(c[1]) - 1.0).abs() < 1e-6));
        assert_eq!(points("ring").fingerprint(), points("ring").fingerprint());
    }

    #[test]
    fn other_names_are_not_built_in() {
        assert!(open("./ring").unwrap().is_none());
        assert!(open("Avatars").unwrap().is_none());
    }

    #[test]
    fn every_notice_names_a_licence() {
        for built_in in BUILT_IN {
            assert!(!built_in.notice.trim().is_empty() && !built_in.license.is_empty(), "{}", built_in.name);
        }
        assert!(BUILT_IN[0].notice.contains("CC0") && BUILT_IN[1].notice.contains("Attribution-ShareAlike 3.0"));
    }
}
