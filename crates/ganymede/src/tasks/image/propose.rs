//! What the image task would do with some data on some device, and why.

use burn::tensor::Device;
use toml::{Table, Value};

use super::ENTRY;
use super::codec::Codec;
use super::config::{ChannelChoice, ConditionChoice, DataConfig, ImageConfig};
use super::nets::Architecture;
use super::symmetry::mirror_images_stand_out;
use crate::augment::Policy;
use crate::config::{resolve, table_of};
use crate::data::{Channels, ImageIndex, ImageSpec, Source, cache_folder, with_commas};
use crate::error::{Error, Result};
use crate::train::estimate::estimate_secs;
use crate::train::{Asked, Proposal};

/// Pictures that are all of one size up to this are learned pixel by pixel as they are.
const KEEP: u32 = 64;

/// Pixels above which a CPU gets narrower networks and fewer steps.
const LARGE: usize = 24 * 24;

/// Pictures below which they are augmented.
const FEW: usize = 1000;

/// Weight of the auxiliary classifier where attributes are asked for; measured with the avatars.
const ATTRIBUTES_WEIGHT: f64 = 1.0;

/// Pictures that penalties are fitted to.
const SEEN: usize = 64;

/// Preset, size, penalties and sheet for this data on this device.
pub fn propose(source: &Source, device: &Device, asked: &Asked<'_>) -> Result<Proposal> {
    let Source::Images(index) = source else {
        return Err(Error::data(source.name(), "is not made of pictures", "choose another task; see `ganymede tasks`"));
    };
    let is_cpu = *device == Device::flex();
    let mut reasons = Vec::new();
    let preset = asked.preset.unwrap_or(if is_cpu { "tiny" } else { "small" });
    let mut layers = vec![ENTRY.preset(preset)?.table()?];
    layers.extend_from_slice(asked.settings);
    let (config, _) = resolve::<ImageConfig>(&layers)?;
    config.validate()?;

    let mut data = Table::new();
    let is_sized = config.data.height > 0 || config.data.width > 0;
    let (height, width) = if is_sized { size(index, &config.data) } else { proposed_size(index, if is_cpu { 32 } else { 64 }) };
    data.insert("height".into(), Value::Integer(height as i64));
    data.insert("width".into(), Value::Integer(width as i64));
    match index.uniform_size() {
        Some((w, h)) if (w as usize, h as usize) == (width, height) => {
            reasons.push(format!("pictures stay as they are, {width} x {height} pixels"))
        }
        _ if is_sized => {}
        _ => {
            let fit = "centre-cropped to that aspect and resized (--set fit=pad or stretch; --set data.height=.. --set data.width=..)";
            reasons.push(format!("pictures become {width} x {height} pixels, {fit}"));
        }
    }
    if asked.preset.is_none() {
        reasons.push(if is_cpu {
            "preset tiny, because this is a CPU".to_owned()
        } else {
            "preset small, because this is a GPU (--preset base for the published widths)".to_owned()
        });
    }
    let (mut network, mut game, mut plan) = (Table::new(), Table::new(), Table::new());
    if is_cpu && preset == "tiny" && height * width > LARGE && !asked.sets("network.width") && !asked.sets("plan.steps") {
        // A thousand kinds take longer to be found.
        let steps = if index.stacked().is_some() { 8000 } else { 2000 };
        network.insert("width".into(), Value::Integer(64));
        plan.insert("steps".into(), Value::Integer(steps));
        reasons.push(format!(
            "networks of width 64, because pictures of {width} x {height} would take long on a CPU with the preset's 96, and {} steps",
            with_commas(steps as usize)
        ));
    }
    let spec = ImageSpec { width, height, channels: channels(index, config.data.channels), fit: config.data.fit };
    if let Some(bytes) = index.bytes_in_a_file(&spec) {
        let folder = cache_folder().unwrap_or_else(std::env::temp_dir);
        reasons.push(format!(
            "decoded, the pictures take {:.1} GiB, more than is kept in memory: they stand in a file in {} while it trains",
            bytes as f64 / f64::from(1u32 << 30),
            folder.display()
        ));
    }
    let seen: Vec<Vec<u8>> = index.preview(&spec, SEEN)?.into_iter().map(|(_, picture)| picture).collect();
    if let Some((reference, variance)) = tuned_for(preset).zip(total_variance(&seen)) {
        let factor = (variance / reference).log2().round().clamp(-20.0, 15.0).exp2();
        for (key, schedule) in [("r1", config.game.r1), ("r2", config.game.r2)] {
            if factor != 1.0 && !schedule.is_off() && !asked.sets(&format!("game.{key}")) {
                game.insert(key.into(), table_of(&schedule.times(factor))?);
            }
        }
        if !game.is_empty() {
            let than = if factor > 1.0 { "more" } else { "less" };
            reasons.push(format!(
                "gradient penalties times {factor}, because these pictures vary {than} than those that the preset was made with"
            ));
        }
    }
    let condition = config.data.condition.of(index);
    let mut augment = Table::new();
    let n = index.entries.len();
    if asked.preset.is_none() && n < FEW {
        if !asked.sets("augment.policy") {
            augment.insert("policy".into(), table_of(&Policy::DiffAugment)?);
            reasons.push(format!(
                "augmentation, because {} pictures would soon be known by heart (--set augment.policy=none turns that off)",
                with_commas(n)
            ));
        }
        let has_sides = matches!(condition, ConditionChoice::Attributes | ConditionChoice::Caption);
        if !has_sides
            && !asked.sets("data.mirror")
            && let Some((share, true)) = mirror_images_stand_out(index, spec.channels)?
        {
            data.insert("mirror".into(), Value::Boolean(true));
            let percent = 100.0 * share;
            reasons.push(format!("mirror images too, because they hardly stand out: {percent:.0} % of them are less like another picture than the picture itself, 50 % where left and right mean nothing (--set mirror=false)"));
        }
    }
    match condition {
        ConditionChoice::Class => {
            let classes = index.classes.len();
            reasons.push(format!("the {classes} classes are learned and can be asked for (--set condition=none turns that off)"));
            if classes <= 16 {
                plan.insert("sheet".into(), Value::Integer(8 * classes as i64));
            }
        }
        ConditionChoice::Attributes => {
            let names = index.attributes.as_ref().map(|table| table.names.join(", ")).unwrap_or_default();
            reasons.push(format!("attributes are learned and can be asked for: {names} (--set condition=none turns that off)"));
            let mut helps = false;
            if preset == "tiny" && !asked.sets("game.auxiliary") {
                game.insert("auxiliary".into(), Value::Float(ATTRIBUTES_WEIGHT));
                helps = true;
            }
            if preset == "tiny" && config.network.architecture == Architecture::Residual && !asked.sets("network.condition_map") {
                network.insert("condition_map".into(), Value::Boolean(true));
                helps = true;
            }
            if helps {
                reasons.push("an auxiliary classifier and a map of what is asked, so that attributes are obeyed (--set game.auxiliary=0 --set network.condition_map=false)".to_owned());
            }
        }
        ConditionChoice::Caption => {
            reasons.push("an encoder of the captions is learned first, which takes a minute or two; pictures can then be asked for in words (--set condition=none turns that off)".to_owned());
        }
        ConditionChoice::None | ConditionChoice::Auto => {}
    }
    if index.captions.is_some() && config.data.condition == ConditionChoice::Auto && condition != ConditionChoice::Caption {
        reasons.push("the texts beside the pictures are not learned, because most pictures have no words (--set condition=caption learns those that there are)".to_owned());
    }
    let settings = [("data", data), ("network", network), ("game", game), ("plan", plan), ("augment", augment)]
        .into_iter()
        .filter(|(_, t)| !t.is_empty())
        .map(|(k, t)| (k.into(), Value::Table(t)));
    let settings: Table = settings.collect();
    layers.insert(1, settings.clone());
    let estimated_secs = estimate(index, &layers, device).ok();
    Ok(Proposal { preset: preset.to_owned(), settings, reasons, estimated_secs })
}

/// Total variance of the pictures that a preset's weights of R1 and R2 were chosen for, where that is known.
fn tuned_for(preset: &str) -> Option<f64> {
    match preset {
        // The built-in avatars.
        "tiny" => Some(156.0),
        _ => None,
    }
}

/// Sum of the variances of all values of the pictures, in [-1, 1]; none of fewer than two pictures.
///
/// R1 and R2 are squared gradients, so their weight has the dimension of a squared distance between samples: where all distances are `s` times as large, the same game is played with a
/// weight `s^2` times as large. That it grows with the number of pixels (StyleGAN2-ADA's rule) is a consequence.
fn total_variance(pictures: &[Vec<u8>]) -> Option<f64> {
    let n = pictures.len() as f64;
    let of_value = |i: usize| {
        let values = || pictures.iter().map(|picture| f64::from(picture[i]) / 127.5);
        let mean = values().sum::<f64>() / n;
        values().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
    };
    let total = (0..pictures.first()?.len()).map(of_value).sum::<f64>();
    (pictures.len() > 1 && total > 0.0).then_some(total)
}

/// Seconds that the training takes.
fn estimate(index: &ImageIndex, layers: &[Table], device: &Device) -> Result<f64> {
    let (config, _) = resolve::<ImageConfig>(layers)?;
    let (height, width) = size(index, &config.data);
    let frame = Codec { height, width, channels: channels(index, config.data.channels) }.frame(index.classes.len());
    let products = config.network.n_products(&frame);
    Ok(estimate_secs(&config.game, &config.plan, products, products, device))
}

/// Height and width that the settings ask for, what they leave open from the data.
pub fn size(index: &ImageIndex, config: &DataConfig) -> (usize, usize) {
    let (height, width) = proposed_size(index, KEEP as usize);
    let ratio = width as f64 / height as f64;
    let scaled = |value: usize, by: f64| ((value as f64 * by).round() as usize).clamp(4, 1024);
    match (config.height, config.width) {
        (0, 0) => (height, width),
        (h, 0) => (h, scaled(h, ratio)),
        (0, w) => (scaled(w, ratio.recip()), w),
        given => given,
    }
}

/// The channels asked for.
pub fn channels(index: &ImageIndex, choice: ChannelChoice) -> Channels {
    match choice {
        ChannelChoice::Auto => index.channels(),
        ChannelChoice::Grey => Channels::Grey,
        ChannelChoice::Rgb => Channels::Rgb,
        ChannelChoice::Rgba => Channels::Rgba,
    }
}

/// Small pictures of one size as they are; others in the typical aspect with a longer side of `side`.
fn proposed_size(index: &ImageIndex, side: usize) -> (usize, usize) {
    if let Some((w, h)) = index.uniform_size()
        && w.max(h) <= KEEP
        && w.min(h) >= 4
    {
        return (h as usize, w as usize);
    }
    let (w, h) = index.typical_size();
    let scale = side as f64 / f64::from(w.max(h).max(1));
    let pixels = |extent: u32| ((f64::from(extent) * scale).round() as usize).clamp(4, side);
    (pixels(h), pixels(w))
}
