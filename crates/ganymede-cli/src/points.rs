//! Points of a latent space, as written on the command line: samples by seed and index, files that `project` wrote, and sums of them.

use std::fs;

use ganymede::latent::{Direction, combine, terms};
use ganymede::train::{AttributeVector, Model, Projection, SampleId};
use ganymede::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::seeds;

/// What `project` writes: where pictures were found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Points {
    /// SHA-256 of the data and step of the model that they belong to.
    pub model: String,
    /// The points.
    pub points: Vec<Point>,
}

/// One picture's place.
#[derive(Debug, Serialize, Deserialize)]
pub struct Point {
    /// The picture's file.
    pub name: String,
    /// What it was found as, of a conditional model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Likeness of what is drawn there, in decibels.
    pub psnr: f64,
    /// The point.
    pub latent: Vec<f32>,
}

/// What `directions` writes of labelled attributes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Directions {
    /// As in [`Points`].
    pub model: String,
    /// One for each value.
    pub directions: Vec<Named>,
}

/// A direction by name.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    /// `attribute=value`.
    pub name: String,
    /// How far samples are to be moved, in standard deviations of a latent.
    pub amount: f64,
    /// The direction, of length 1.
    pub vector: Vec<f32>,
}

impl From<&AttributeVector> for Named {
    fn from(found: &AttributeVector) -> Self {
        Self { name: format!("{}={}", found.attribute, found.value), amount: found.amount, vector: found.vector.clone() }
    }
}

impl From<Projection> for Point {
    fn from(Projection { name, latent, label, psnr }: Projection) -> Self {
        Self { name, label, psnr: (psnr * 100.0).round() / 100.0, latent }
    }
}

/// A name for the model that points belong to.
pub fn model_id(model: &dyn Model) -> String {
    let description = model.description();
    format!("{}, step {}, seed {}", description.data.fingerprint, description.step, description.seed)
}

/// The point that a sum like `3:5 - 3:7 + 0.5*@found.json#2` stands for.
pub fn read(text: &str, model: &dyn Model) -> Result<Vec<f32>> {
    let terms = terms(text)?.into_iter().map(|(factor, word)| Ok((factor, point(&word, model)?)));
    Ok(combine(&terms.collect::<Result<Vec<_>>>()?))
}

fn point(word: &str, model: &dyn Model) -> Result<Vec<f32>> {
    if let Some(file) = word.strip_prefix('@') {
        return of_file(file, model);
    }
    match seeds::parse(word)?.as_slice() {
        [id] => Ok(model.latent(*id)),
        _ => Err(Error::config("--latent", format!("\"{word}\" is not one sample"), "write a seed, or seed:index")),
    }
}

fn of_file(word: &str, model: &dyn Model) -> Result<Vec<f32>> {
    let (path, number) = word.rsplit_once('#').unwrap_or((word, "0"));
    let damaged = |problem: String| Error::run(path, problem, "give a file that `ganymede project` wrote");
    let points: Points = read_json(path, damaged)?;
    if points.model != model_id(model) {
        return Err(damaged("holds points of another model".to_owned()));
    }
    let number: usize =
        number.parse().map_err(|_| Error::config("--latent", format!("\"{number}\" is no number of a point"), "write @FILE#2"))?;
    let n = points.points.len();
    let found = points.points.into_iter().nth(number).ok_or_else(|| damaged(format!("holds {n} points, and none of number {number}")))?;
    Ok(found.latent)
}

fn read_json<T: DeserializeOwned>(path: &str, damaged: impl Fn(String) -> Error) -> Result<T> {
    let text = fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))
}

/// The direction and the amount that `@FILE#NAME=AMOUNT` names.
fn of_attribute(text: &str, model: &dyn Model) -> Result<(Vec<f32>, f64)> {
    let wrong = |problem: String| {
        Error::config("--along", problem, "write '@FILE#ATTRIBUTE=VALUE=AMOUNT', for example '@directions.json#hat=cap=2'")
    };
    let (path, rest) = text.rsplit_once('#').ok_or_else(|| wrong(format!("\"@{text}\" names no direction")))?;
    let (name, amount) = rest.rsplit_once('=').ok_or_else(|| wrong(format!("\"{rest}\" has no amount")))?;
    let amount: f64 =
        amount.trim().parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| wrong(format!("\"{amount}\" is no amount")))?;
    let damaged = |problem: String| Error::run(path, problem, "give a file that `ganymede directions --labelled` wrote");
    let file: Directions = read_json(path, damaged)?;
    if file.model != model_id(model) {
        return Err(damaged("holds directions of another model".to_owned()));
    }
    let names: Vec<String> = file.directions.iter().map(|own| own.name.clone()).collect();
    let found = file.directions.into_iter().find(|own| own.name == name.trim());
    let found = found.ok_or_else(|| wrong(format!("{path} has no direction \"{name}\"; it has {}", names.join(", "))))?;
    if found.vector.len() != model.latent_dim() || found.vector.iter().any(|v| !v.is_finite()) {
        return Err(damaged(format!("\"{}\" is no direction of this model", found.name)));
    }
    Ok((found.vector, amount))
}

/// Moves points along directions of the model, given as `NUMBER=AMOUNT`, where the strongest direction is number 1, or of labelled attributes, as `@FILE#NAME=AMOUNT`.
pub fn moved(points: &mut [Vec<f32>], along: &[String], model: &dyn Model) -> Result<()> {
    let directions = if along.iter().all(|text| text.starts_with('@')) { Vec::new() } else { model.directions() };
    for text in along {
        let (vector, amount) = match text.strip_prefix('@') {
            Some(named) => of_attribute(named, model)?,
            None => of_number(text, &directions)?,
        };
        for point in &mut *points {
            *point = ganymede::latent::along(point, &vector, amount);
        }
    }
    Ok(())
}

fn of_number(text: &str, directions: &[Direction]) -> Result<(Vec<f32>, f64)> {
    let wrong = || {
        let remedy = format!("write NUMBER=AMOUNT with a number from 1 to {}, for example 2=-1.5", directions.len());
        Error::config("--along", format!("cannot read \"{text}\""), remedy)
    };
    let (number, amount) = text.split_once('=').ok_or_else(wrong)?;
    let (number, amount): (usize, f64) = (number.trim().parse().map_err(|_| wrong())?, amount.trim().parse().map_err(|_| wrong())?);
    let direction = number.checked_sub(1).and_then(|i| directions.get(i)).filter(|_| amount.is_finite()).ok_or_else(wrong)?;
    Ok((direction.vector.clone(), amount))
}

/// Points of samples.
pub fn of_samples(ids: &[SampleId], model: &dyn Model) -> Vec<Vec<f32>> {
    ids.iter().map(|id| model.latent(*id)).collect()
}
