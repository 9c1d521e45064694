//! Where to compute: `auto`, `cpu`, or a GPU back end by name, chosen at run time among those compiled in.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use crate::config::nearest;
use crate::error::{Error, Result};

/// A way to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackEnd {
    /// The processor. Always there.
    Cpu,
    /// GPUs of every vendor, kernels as WGSL. Cargo feature `wgpu`.
    Wgpu,
    /// GPUs through Vulkan, kernels as SPIR-V. Cargo feature `vulkan`.
    Vulkan,
    /// NVIDIA GPUs. Cargo feature `cuda`; building it needs the network, and it is untested.
    Cuda,
}

impl BackEnd {
    /// Every back end, the one that `auto` prefers first.
    pub const ALL: [Self; 4] = [Self::Cuda, Self::Vulkan, Self::Wgpu, Self::Cpu];

    /// Its name, which is also the Cargo feature that adds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        }
    }

    /// Whether this program was built with it.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Wgpu => cfg!(any(feature = "wgpu", feature = "vulkan")),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }
}

/// A device as a person names it: `auto`, `cpu`, `wgpu`, `vulkan:1` ...
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceName {
    /// The best there is: a real GPU if there is one, else the processor.
    Auto,
    /// A back end, and the position of one of its adapters in the list of [`describe`].
    Named(BackEnd, Option<usize>),
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            let words = ["auto", "cpu", "wgpu", "vulkan", "cuda"];
            let base = text.split(':').next().unwrap_or_default();
            // "gpu" is one letter from "cpu" and means the opposite.
            let remedy = match nearest(base, words) {
                Some(near) if near != base && base != "gpu" => format!("did you mean {near}?"),
                _ => "known devices: auto, cpu, wgpu, vulkan, cuda; the GPU ones take the number of an adapter, as in wgpu:0".to_owned(),
            };
            Error::config("device", format!("unknown device \"{text}\""), remedy)
        };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Named(BackEnd::Cpu, None)),
            ("wgpu", i) => Ok(Self::Named(BackEnd::Wgpu, i)),
            ("vulkan", i) => Ok(Self::Named(BackEnd::Vulkan, i)),
            ("cuda", i) => Ok(Self::Named(BackEnd::Cuda, i)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Named(back_end, None) => f.write_str(back_end.name()),
            Self::Named(back_end, Some(index)) => write!(f, "{}:{index}", back_end.name()),
        }
    }
}

/// An opened device and why it is this one.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// For tensors; without autodiff.
    pub device: Device,
    /// Its exact name, never `auto`.
    pub name: DeviceName,
    /// For the user: what it is and why it was taken.
    pub reason: String,
}

/// Opens the device of that name.
///
/// # Errors
/// [`Error::Config`] for a name that means nothing; [`Error::Device`] for a back end that is not compiled in, has no such adapter, or does not start.
pub fn open(name: &str) -> Result<Device> {
    Ok(choose(name)?.device)
}

/// Opens the device of that name and says why it is this one.
///
/// # Errors
/// As [`open`].
pub fn choose(name: &str) -> Result<Chosen> {
    match name.parse()? {
        DeviceName::Auto => Ok(choose_auto()),
        DeviceName::Named(BackEnd::Cpu, _) => Ok(cpu("asked for".to_owned())),
        DeviceName::Named(back_end, index) => choose_gpu(back_end, index),
    }
}

/// The machine as [`open`] sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Threads that the processor runs at once and this process may use.
    pub n_threads: usize,
    /// Vector instructions that speed the CPU back end up, the widest first.
    pub simd: Vec<&'static str>,
    /// Every back end, compiled in or not.
    pub back_ends: Vec<BackEndReport>,
}

/// One back end of [`Machine`].
#[derive(Debug, Clone, Serialize)]
pub struct BackEndReport {
    /// Which.
    pub name: BackEnd,
    /// Whether this program was built with it.
    pub compiled: bool,
    /// What it can compute on.
    pub adapters: Vec<Adapter>,
}

/// Something a GPU back end can compute on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// What to write after `--device`.
    pub device: String,
    /// As it names itself.
    pub label: String,
    /// A program that imitates a GPU: right, but slower than the CPU back end.
    pub software: bool,
}

/// Looks at processor, back ends and adapters. Opens every adapter, so it may take a second.
pub fn describe() -> Machine {
    let report = |name: BackEnd| BackEndReport {
        name,
        compiled: name.is_compiled(),
        adapters: adapters(name).into_iter().map(|(adapter, _)| adapter).collect(),
    };
    Machine { n_threads: n_threads(), simd: simd(), back_ends: BackEnd::ALL.into_iter().rev().map(report).collect() }
}

fn cpu(why: String) -> Chosen {
    let simd = simd().first().map(|s| format!(", {s}")).unwrap_or_default();
    let threads = n_threads();
    let plural = if threads == 1 { "" } else { "s" };
    Chosen { device: Device::flex(), name: DeviceName::Named(BackEnd::Cpu, None), reason: format!("{threads} thread{plural}{simd}; {why}") }
}

fn choose_auto() -> Chosen {
    let gpus: Vec<_> = BackEnd::ALL.into_iter().filter(|b| *b != BackEnd::Cpu && b.is_compiled()).collect();
    if gpus.is_empty() {
        return cpu("this build has no GPU back end".to_owned());
    }
    let mut trouble = None;
    for back_end in &gpus {
        for (index, (adapter, device)) in adapters(*back_end).into_iter().enumerate().filter(|(_, (a, _))| !a.software) {
            match start(&adapter.device, device) {
                Ok(device) => return Chosen { device, name: DeviceName::Named(*back_end, Some(index)), reason: adapter.label },
                Err(error) => trouble = Some(error.to_string()),
            }
        }
    }
    let names: Vec<_> = gpus.iter().map(|b| b.name()).collect();
    cpu(trouble.unwrap_or_else(|| format!("{} found no GPU", names.join(" and "))))
}

fn choose_gpu(back_end: BackEnd, index: Option<usize>) -> Result<Chosen> {
    let name = DeviceName::Named(back_end, index).to_string();
    let error = |problem: &str, remedy: String| Error::Device { name: name.clone(), problem: problem.to_owned(), remedy };
    if !back_end.is_compiled() {
        let command = format!("cargo install --path crates/ganymede-cli --features {}", back_end.name());
        return Err(error("this program was built without it", format!("build it in with `{command}`, or use --device cpu")));
    }
    let found = adapters(back_end);
    if found.is_empty() {
        return Err(error("no adapter found", "install the GPU's driver, or use --device cpu".to_owned()));
    }
    let index = index.unwrap_or_else(|| found.iter().position(|(a, _)| !a.software).unwrap_or(0));
    let n_found = found.len();
    let Some((adapter, device)) = found.into_iter().nth(index) else {
        return Err(error("no such adapter", format!("there are {n_found}, counted from 0; `ganymede doctor` lists them")));
    };
    let device = start(&name, device)?;
    Ok(Chosen { device, name: DeviceName::Named(back_end, Some(index)), reason: format!("{}; asked for", adapter.label) })
}

/// Computes one sum on the device. Drivers fail by panicking inside the back end, which this turns into an error.
fn start(name: &str, device: Device) -> Result<Device> {
    let sum = catch_unwind(AssertUnwindSafe(|| Tensor::<1>::from_floats([1.0, 2.0], &device).sum().try_into_data()));
    match sum {
        Ok(Ok(_)) => Ok(device),
        _ => Err(Error::Device {
            name: name.to_owned(),
            problem: "it does not start".to_owned(),
            remedy: "check its driver (`ganymede doctor`), or use --device cpu".to_owned(),
        }),
    }
}

/// The adapters that a back end reaches, in a fixed order. Empty where it is not compiled in.
fn adapters(back_end: BackEnd) -> Vec<(Adapter, Device)> {
    let list = catch_unwind(|| enumerate(back_end)).unwrap_or_default();
    let listed = list.into_iter().enumerate().map(|(index, device)| {
        let (label, software) = identify(&device);
        (Adapter { device: DeviceName::Named(back_end, Some(index)).to_string(), label, software }, device)
    });
    listed.collect()
}

fn enumerate(back_end: BackEnd) -> Vec<Device> {
    match back_end {
        #[cfg(any(feature = "wgpu", feature = "vulkan"))]
        BackEnd::Wgpu => Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(),
        #[cfg(feature = "vulkan")]
        BackEnd::Vulkan => Device::enumerate(burn::tensor::DeviceType::Vulkan).into_vec(),
        #[cfg(feature = "cuda")]
        BackEnd::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
        _ => Vec::new(),
    }
}

/// How a device names itself and whether it is a program rather than a card.
fn identify(device: &Device) -> (String, bool) {
    #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
    if let Ok(Some(identity)) = catch_unwind(AssertUnwindSafe(|| device.identity())) {
        return (identity.name, identity.physical.is_none());
    }
    (format!("{device:?}"), true)
}

fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn simd() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let known = [("AVX-512", std::is_x86_feature_detected!("avx512f")), ("AVX2", std::is_x86_feature_detected!("avx2"))];
        known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }
    #[cfg(target_arch = "aarch64")]
    {
        vec!["NEON"]
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        Vec::new()
    }
}

/// Measured speed of the device, in floating-point operations per second: on the CPU what its multipliers do at most, elsewhere a matrix product of 512 x 512, the
/// best of three. Some milliseconds of work; the unit in which the cost of training is estimated.
pub(crate) fn rate(device: &Device) -> f64 {
    if *device == Device::flex() {
        return ganymede_kernels::peak(ganymede_kernels::threads());
    }
    const SIDE: usize = 512;
    let matrix = || Tensor::<2>::from_data(TensorData::new(vec![1.0f32; SIDE * SIDE], [SIDE, SIDE]), device);
    let (a, b) = (matrix(), matrix());
    let once = || {
        let started = Instant::now();
        let product = a.clone().matmul(b.clone());
        // Reading one number waits for the product.
        let _ = product.narrow(0, 0, 1).narrow(1, 0, 1).into_data();
        started.elapsed().as_secs_f64()
    };
    once();
    let secs = (0..3).map(|_| once()).fold(f64::INFINITY, f64::min);
    2.0 * (SIDE as f64).powi(3) / secs.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_back() {
        for name in ["auto", "cpu", "wgpu", "vulkan:1", "cuda:0"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn nonsense_is_refused_as_wrong_use() {
        for name in ["", "gpu", "cpu:1", "wgpu:", "wgpu:x", "wgpu:-1", "auto:0"] {
            assert_eq!(name.parse::<DeviceName>().unwrap_err().exit_code(), 2, "{name}");
        }
        assert_eq!("vulcan".parse::<DeviceName>().unwrap_err().to_string(), "device: unknown device \"vulcan\"; did you mean vulkan?");
    }

    #[test]
    fn the_processor_is_always_there() {
        let chosen = choose("cpu").unwrap();
        assert_eq!(chosen.name.to_string(), "cpu");
        assert_eq!(Tensor::<1>::from_floats([1.0, 2.0], &chosen.device).sum().into_scalar::<f32>(), 3.0);
        assert!(describe().back_ends.iter().any(|b| b.name == BackEnd::Cpu && b.compiled));
    }

    #[cfg(not(any(feature = "wgpu", feature = "vulkan", feature = "cuda")))]
    #[test]
    fn back_ends_that_are_not_compiled_in_say_how_to_build_them() {
        let said = choose("wgpu:0").unwrap_err().to_string();
        assert!(said.starts_with("device wgpu:0: this program was built without it") && said.contains("--features wgpu"), "{said}");
        let auto = choose("auto").unwrap();
        assert_eq!((auto.name.to_string().as_str(), auto.reason.contains("no GPU back end")), ("cpu", true));
    }
}
