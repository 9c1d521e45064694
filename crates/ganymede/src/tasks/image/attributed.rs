//! Directions of the latent space in which labelled attributes of pictures change.

use super::condition::{Attributes, Condition, Values};
use super::judge::{fingerprint, gathered};
use super::model::{CHUNK, ImageModel};
use crate::data::{ImageIndex, ImageSet, Pictures};
use crate::error::{Error, Result};
use crate::features::{AttributeNet, Cache};
use crate::judge::Split;
use crate::latent::{along, attribute_vector};
use crate::train::{AttributeVector, AttributeVectors, AttributesRequest, Model, SampleId, SampleRequest, Wish};

/// Share of the labelled pictures that tell how well attributes are seen.
const HELD_OUT: f64 = 0.1;
/// Samples that directions are found by.
const LEARNED: usize = 8000;
/// Samples of which an attribute has a value, below which nothing is said of it.
const FEWEST: usize = 40;
/// Samples that are moved, to choose how far, and again others to say what comes of it.
const MOVED: usize = 200;
/// Samples among which those are looked for.
const LOOKED_AT: usize = 4000;
/// How far samples are moved, in standard deviations of a latent.
const AMOUNTS: [f64; 8] = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0];
/// How much a direction may have of those of other attributes: weights of a ridge, for the plain difference infinite.
const RIDGES: [f64; 3] = [f64::INFINITY, 1.0, 0.1];

/// What is to be told apart.
struct Told {
    names: Vec<String>,
    /// Values of each.
    values: Vec<Vec<String>>,
    /// Of each picture, the position of its value of each.
    pictures: Vec<Vec<Option<usize>>>,
}

impl Told {
    /// The attributes of labelled pictures that are categories, or their classes, or those of that names.
    fn of(index: &ImageIndex, data: &ImageSet, names: &[String]) -> Result<Self> {
        let all: Vec<usize> = (0..data.len()).collect();
        let told = if let Some(table) = &index.attributes {
            let (attributes, _) = Attributes::learn(table, &data.rows, names, &all)?;
            let rows: Vec<Vec<Option<f32>>> = data.rows.iter().map(|row| attributes.read_row(table, *row)).collect();
            let mut told = Self { names: Vec::new(), values: Vec::new(), pictures: vec![Vec::new(); data.len()] };
            for (at, attribute) in attributes.list().iter().enumerate() {
                let Values::Categories(words) = &attribute.values else {
                    tracing::warn!("{}: {} is a number, which has no direction of its own here", index.name, attribute.name);
                    continue;
                };
                told.names.push(attribute.name.clone());
                told.values.push(words.clone());
                told.pictures.iter_mut().zip(&rows).for_each(|(picture, row)| picture.push(row[at].map(|v| v as usize)));
            }
            told
        } else {
            let pictures = data.labels.iter().map(|label| vec![Some(*label as usize)]).collect();
            Self { names: vec!["class".to_owned()], values: vec![data.classes.clone()], pictures }
        };
        if !told.values.iter().any(|values| values.len() > 1) || told.pictures.len() != data.len() {
            let remedy = "lay a labels.csv with a column for each attribute beside the pictures, or sort them into sub-folders by class";
            return Err(Error::data(index.name.clone(), "has no attribute with several values, and no classes", remedy));
        }
        Ok(told)
    }
}

/// Points of the latent space, what each is drawn as, and what is seen there.
#[derive(Default)]
struct Seen {
    latents: Vec<Vec<f32>>,
    rows: Vec<Vec<f32>>,
    values: Vec<Vec<usize>>,
}

/// What came of moving samples.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    put_on: Option<f64>,
    taken_off: Option<f64>,
    kept: f64,
}

impl Outcome {
    /// The weakest of its sides.
    fn worth(&self) -> f64 {
        [self.put_on, self.taken_off, Some(self.kept)].into_iter().flatten().fold(1.0, f64::min)
    }
}

struct Finder<'a> {
    model: &'a ImageModel,
    net: AttributeNet,
    data: &'a ImageSet,
}

impl Finder<'_> {
    fn view<'b>(&self, pixels: &'b [u8]) -> Pictures<'b> {
        Pictures { pixels, height: self.data.height, width: self.data.width, channels: self.data.channels.count() }
    }

    /// So many samples of a seed.
    fn samples(&self, (seed, n): (u64, usize), progress: &mut dyn FnMut(usize)) -> Result<Seen> {
        let mut seen = Seen::default();
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        for chunk in ids.chunks(16 * CHUNK) {
            let request = SampleRequest { ids: chunk.to_vec(), wish: Wish::Any, truncation: 1.0, sheet: false };
            let (pixels, asked) = self.model.draw(&request)?;
            seen.values.extend(self.net.see(&self.view(&pixels)));
            seen.rows.extend(asked.rows);
            seen.latents.extend(chunk.iter().map(|id| self.model.latent(*id)));
            progress(seen.latents.len());
        }
        Ok(seen)
    }

    /// Moves samples that have not the value towards it, and those that have it away from it.
    fn moved(&self, among: &Seen, (attribute, value): (usize, usize), direction: &[f32], amount: f64) -> Outcome {
        let (mut kept, mut of) = (0, 0);
        let mut side = |has: bool, amount: f64| {
            let chosen: Vec<usize> =
                (0..among.latents.len()).filter(|i| (among.values[*i][attribute] == value) == has).take(MOVED).collect();
            if chosen.len() < FEWEST / 2 {
                return None;
            }
            let latents: Vec<Vec<f32>> = chosen.iter().map(|i| along(&among.latents[*i], direction, amount)).collect();
            let rows: Vec<Vec<f32>> = chosen.iter().map(|i| among.rows[*i].clone()).collect();
            let after = self.net.see(&self.view(&self.model.draw_points(&latents, &rows)));
            for (i, after) in chosen.iter().zip(&after) {
                let others = (0..after.len()).filter(|other| *other != attribute);
                kept += others.clone().filter(|other| after[*other] == among.values[*i][*other]).count();
                of += others.count();
            }
            Some(after.iter().filter(|after| (after[attribute] == value) != has).count() as f64 / chosen.len() as f64)
        };
        let (put_on, taken_off) = (side(false, amount), side(true, -amount));
        Outcome { put_on, taken_off, kept: if of == 0 { 1.0 } else { f64::from(kept as u32) / of as f64 } }
    }
}

/// Finds a direction for each value of each attribute of labelled pictures: a classifier learns to see them, looks at samples, and says where in the latent space those with a value lie (Shen, Gu, Tang and Zhou,
/// "Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR 2020). How far to go, and how much of other attributes' directions to leave out, is chosen on samples, and what comes of it
/// measured on others.
pub fn find(
    model: &ImageModel,
    index: &ImageIndex,
    data: &ImageSet,
    request: &AttributesRequest<'_>,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<AttributeVectors> {
    let told = Told::of(index, data, request.names)?;
    if let (Condition::Classes(_), None) = (model.condition(), &index.attributes) {
        let remedy = "draw the same latent as another class: ganymede sample RUN --latent 0:0 --label CLASS";
        return Err(Error::config("--labelled", "this model is asked for classes: its latents do not hold them", remedy));
    }
    if let Condition::Attributes(own) = model.condition() {
        let asked = own.list().iter().find(|attribute| told.names.contains(&attribute.name));
        if let Some(attribute) = asked {
            let problem = format!("this model is asked for {}: its latents do not hold it", attribute.name);
            let remedy =
                format!("draw the same latent with another value: ganymede sample RUN --latent 0:0 --where {}=...", attribute.name);
            return Err(Error::config("--labelled", problem, remedy));
        }
    }
    let split = Split::new(data.len(), HELD_OUT);
    let (learned, held_out) = (gathered(data, &split.training), gathered(data, &split.held_out));
    let widths: Vec<usize> = told.values.iter().map(Vec::len).collect();
    let of = |positions: &[usize]| -> Vec<Vec<Option<usize>>> { positions.iter().map(|i| told.pictures[*i].clone()).collect() };
    let cache = request.cache.map(Cache::new);
    let own = fingerprint(data, &split);
    let known = cache.as_ref().map(|cache| (cache, own.as_str()));
    let view = |pixels| Pictures { pixels, height: data.height, width: data.width, channels: data.channels.count() };
    let net = AttributeNet::learn(&view(&learned), &of(&split.training), &widths, known, &mut |done, of| {
        progress("learning what attributes look like", done, of);
    });
    let finder = Finder { model, net, data };
    let seen_rightly = accuracies(&finder.net.see(&view(&held_out)), &of(&split.held_out), widths.len());

    let mut draw = |number: u64, n: usize| {
        finder.samples((request.seed.wrapping_add(number), n), &mut |done| progress("looking at samples", done as u64, n as u64))
    };
    let (by, chosen_by, tested_by) = (draw(0, LEARNED)?, draw(1, LOOKED_AT)?, draw(2, LOOKED_AT)?);
    let has = |attribute: usize, value: usize| -> Vec<bool> { by.values.iter().map(|row| row[attribute] == value).collect() };
    let all: Vec<(usize, usize)> = (0..widths.len()).flat_map(|a| (0..widths[a]).map(move |v| (a, v))).collect();
    let is_found = |at: &(usize, usize)| {
        let n = has(at.0, at.1).into_iter().filter(|has| *has).count();
        (FEWEST..=by.latents.len() - FEWEST).contains(&n)
    };
    let (found, rare): (Vec<_>, Vec<_>) = all.into_iter().partition(is_found);
    let plain: Vec<Vec<f32>> = found.iter().map(|at| attribute_vector(&by.latents, &has(at.0, at.1), (&[], f64::INFINITY))).collect();
    let mut vectors = Vec::with_capacity(found.len());
    for (place, at) in found.iter().enumerate() {
        progress("moving samples", place as u64, found.len() as u64);
        let others: Vec<&[f32]> =
            found.iter().zip(&plain).filter(|(other, _)| other.0 != at.0).map(|(_, vector)| vector.as_slice()).collect();
        let mut best: Option<(f64, Vec<f32>, f64)> = None;
        for ridge in RIDGES {
            let vector = unit(attribute_vector(&by.latents, &has(at.0, at.1), (&others, ridge)));
            for amount in AMOUNTS {
                let worth = finder.moved(&chosen_by, *at, &vector, amount).worth();
                if best.as_ref().is_none_or(|(most, ..)| worth > *most) {
                    best = Some((worth, vector.clone(), amount));
                }
            }
        }
        let (_, vector, amount) = best.expect("several amounts were tried");
        let Outcome { put_on, taken_off, kept } = finder.moved(&tested_by, *at, &vector, amount);
        let share = has(at.0, at.1).iter().filter(|has| **has).count() as f64 / by.latents.len() as f64;
        vectors.push(AttributeVector {
            attribute: told.names[at.0].clone(),
            value: told.values[at.0][at.1].clone(),
            vector,
            amount,
            share,
            put_on,
            taken_off,
            kept,
        });
    }
    let name = |at: &(usize, usize)| format!("{}={}", told.names[at.0], told.values[at.0][at.1]);
    Ok(AttributeVectors {
        vectors,
        seen_rightly: told.names.iter().cloned().zip(seen_rightly).collect(),
        left_out: rare.iter().map(name).collect(),
    })
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1e-12);
    vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    vector
}

/// Share of pictures whose known value is seen rightly, attribute by attribute; nothing where none is known.
fn accuracies(seen: &[Vec<usize>], known: &[Vec<Option<usize>>], n: usize) -> Vec<Option<f64>> {
    let of = |attribute: usize| {
        let pairs = seen.iter().zip(known).filter_map(|(seen, known)| known[attribute].map(|known| seen[attribute] == known));
        let (right, all) = pairs.fold((0, 0), |(right, all), is_right| (right + usize::from(is_right), all + 1));
        (all > 0).then(|| right as f64 / f64::from(all))
    };
    (0..n).map(of).collect()
}
