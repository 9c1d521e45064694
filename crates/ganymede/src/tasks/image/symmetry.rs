//! Whether mirror images of pictures could be pictures of the same kind.

use crate::data::{Channels, Fit, ImageIndex, ImageSpec};
use crate::error::Result;

/// Pictures that are looked at, at most.
const SEEN: usize = 200;
/// Pictures that can be compared, below which nothing is said.
const FEWEST: usize = 40;
/// Side of the pictures that are compared.
const SIDE: usize = 16;
/// Share up to which mirror images count as natural. Where left and right mean nothing it is a half, give or take 0.035 of 200 pictures; of handwritten digits it is 0.9, of letters or of faces lit from one side less.
const MOST: f64 = 0.6;

/// How much mirror images of some pictures stand out: the share of them that lies farther from the nearest other picture of the same class than the picture itself does, and whether that is little enough for them to be learned
/// from. Nothing of too few pictures.
///
/// # Errors
/// As [`ImageIndex::preview`].
pub fn mirror_images_stand_out(index: &ImageIndex, channels: Channels) -> Result<Option<(f64, bool)>> {
    let spec = ImageSpec { width: SIDE, height: SIDE, channels, fit: Fit::Stretch };
    let seen = index.preview(&spec, SEEN)?;
    let labels: Vec<Option<u32>> = seen.iter().map(|(entry, _)| entry.label).collect();
    let pictures: Vec<Vec<u8>> = seen.into_iter().map(|(_, picture)| picture).collect();
    Ok(stand_out(&pictures, &labels, channels.count()).map(|share| (share, share <= MOST)))
}

fn stand_out(pictures: &[Vec<u8>], labels: &[Option<u32>], channels: usize) -> Option<f64> {
    let (mut farther, mut compared) = (0, 0);
    for (i, picture) in pictures.iter().enumerate() {
        let turned = mirrored(picture, channels);
        let others = || pictures.iter().zip(labels).enumerate().filter(|(j, (_, label))| *j != i && **label == labels[i]);
        let nearest = |to: &[u8]| others().map(|(_, (other, _))| distance(to, other)).min();
        let (Some(as_it_is), Some(as_turned)) = (nearest(picture), nearest(&turned)) else { continue };
        // Pictures that are their own mirror images say nothing.
        if as_it_is != as_turned {
            compared += 1;
            farther += usize::from(as_turned > as_it_is);
        }
    }
    (compared >= FEWEST).then(|| farther as f64 / compared as f64)
}

fn mirrored(picture: &[u8], channels: usize) -> Vec<u8> {
    picture.chunks_exact(SIDE * channels).flat_map(|row| row.chunks_exact(channels).rev().flatten().copied()).collect()
}

fn distance(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use crate::random;

    fn of(name: &str) -> (f64, bool) {
        let Source::Images(index) = Source::open(name).unwrap() else { panic!("{name} are pictures") };
        mirror_images_stand_out(&index, index.channels()).unwrap().unwrap()
    }

    #[test]
    fn digits_and_faces_lit_from_one_side_are_not_mirrored() {
        let (digits, is_natural) = of("digits");
        assert!(digits > 0.8 && !is_natural, "{digits}");
        let (avatars, is_natural) = of("avatars");
        assert!((0.6..0.85).contains(&avatars) && !is_natural, "{avatars}");
    }

    #[test]
    fn pictures_whose_sides_mean_nothing_are() {
        // A lamp anywhere above a floor.
        let places = |n: usize| random::uniform(3 * n, &mut random::stream(1, "lamps", 0));
        let lamp = |at: &[f32]| -> Vec<u8> {
            let far = |p: usize| ((p % 16) as f32 - 15.0 * at[0]).powi(2) + ((p / 16) as f32 - 15.0 * at[1]).powi(2);
            (0..256).map(|p| (p / 16 * 3) as u8 + (180.0 * (-far(p) / (4.0 + 20.0 * at[2])).exp()) as u8).collect()
        };
        let lamps = |n: usize| -> Vec<Vec<u8>> { places(n).chunks_exact(3).map(lamp).collect() };
        let share = stand_out(&lamps(200), &[None; 200], 1).unwrap();
        assert!((0.38..=MOST).contains(&share), "{share}");
        // The same in two classes, by the side that the lamp is on: a mirror image belongs to the other one.
        let pictures = lamps(200);
        let labels: Vec<Option<u32>> = places(200).chunks_exact(3).map(|at| Some(u32::from(at[0] < 0.5))).collect();
        let share = stand_out(&pictures, &labels, 1).unwrap();
        assert!(share > MOST, "{share}");
        assert_eq!(stand_out(&pictures[..30], &labels[..30], 1), None);
    }

    #[test]
    fn mirroring_turns_rows_around() {
        let picture: Vec<u8> = (0..SIDE * SIDE * 3).map(|i| (i % 251) as u8).collect();
        let turned = mirrored(&picture, 3);
        assert_eq!(turned[..3], picture[45..48]);
        assert_eq!(mirrored(&turned, 3), picture);
    }
}
