//! What the image task would do with some data on some device, and why.

use burn::tensor::Device;
use toml::{Table, Value};

use super::ENTRY;
use super::codec::Codec;
use super::config::{ChannelChoice, DataConfig, ImageConfig};
use crate::config::resolve;
use crate::data::{Channels, ImageIndex, Source};
use crate::error::{Error, Result};
use crate::train::Proposal;
use crate::train::estimate::estimate_secs;

/// Pictures that are all of one size up to this are learned pixel by pixel as they are.
const KEEP: u32 = 64;

/// Pixels above which a CPU gets narrower networks and fewer steps.
const LARGE: usize = 24 * 24;

/// Preset, size and sheet for this data on this device.
pub fn propose(source: &Source, device: &Device) -> Result<Proposal> {
    let Source::Images(index) = source else {
        return Err(Error::data(source.name(), "is not made of pictures", "choose another task; see `ganymede tasks`"));
    };
    let is_cpu = *device == Device::flex();
    let mut reasons = Vec::new();
    let mut data = Table::new();
    let (height, width) = proposed_size(index, if is_cpu { 32 } else { 64 });
    data.insert("height".into(), Value::Integer(height as i64));
    data.insert("width".into(), Value::Integer(width as i64));
    match index.uniform_size() {
        Some((w, h)) if (w as usize, h as usize) == (width, height) => {
            reasons.push(format!("pictures stay as they are, {width} x {height} pixels"))
        }
        _ => {
            let fit = "centre-cropped to that aspect and resized (--set fit=pad or stretch; --set data.height=.. --set data.width=..)";
            reasons.push(format!("pictures become {width} x {height} pixels, {fit}"));
        }
    }
    let preset = if is_cpu { "tiny" } else { "small" };
    reasons.push(if is_cpu {
        "preset tiny, because this is a CPU".to_owned()
    } else {
        "preset small, because this is a GPU (--preset base for the published widths)".to_owned()
    });
    let (mut network, mut plan) = (Table::new(), Table::new());
    if is_cpu && height * width > LARGE {
        network.insert("width".into(), Value::Integer(64));
        plan.insert("steps".into(), Value::Integer(2000));
        reasons.push(format!(
            "networks of width 64 and 2,000 steps, because pictures of {width} x {height} would take long on a CPU with the preset's 96 and 2,600"
        ));
    }
    let classes = index.classes.len();
    if classes > 1 {
        reasons.push(format!("the {classes} classes are learned and can be asked for (--set classes=false turns that off)"));
        if classes <= 16 {
            plan.insert("sheet".into(), Value::Integer(8 * classes as i64));
        }
    }
    let settings = [("data", data), ("network", network), ("plan", plan)]
        .into_iter()
        .filter(|(_, t)| !t.is_empty())
        .map(|(k, t)| (k.into(), Value::Table(t)));
    let settings: Table = settings.collect();
    let estimated_secs = estimate(index, preset, &settings, device).ok();
    Ok(Proposal { preset: preset.to_owned(), settings, reasons, estimated_secs })
}

/// Seconds that the proposed training takes.
fn estimate(index: &ImageIndex, preset: &str, settings: &Table, device: &Device) -> Result<f64> {
    let (config, _) = resolve::<ImageConfig>(&[ENTRY.preset(preset)?.table()?, settings.clone()])?;
    let (height, width) = size(index, &config.data);
    let classes = if config.data.classes { index.classes.len() } else { 0 };
    let frame = Codec { height, width, channels: channels(index, config.data.channels) }.frame(classes);
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
