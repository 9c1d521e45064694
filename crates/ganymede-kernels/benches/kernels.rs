//! Speed of every kernel on the shapes of real networks: products in GFLOP/s and as a share of what the processor's multipliers can do, passes over memory in GB/s and
//! as a share of what copying as much memory on as many threads reaches. Convolutions count the multiplications of their definition; those that get by with fewer can
//! reach more than all of the peak.
//!
//! ```sh
//! cargo bench -p ganymede-kernels --features allocator              # on all threads; RAYON_NUM_THREADS=1 for one
//! cargo bench -p ganymede-kernels --features allocator -- conv      # those whose name contains a word
//! ```
//! Figures are medians. The peak is measured by [`ganymede_kernels::peak`] before and after each row, since machines are shared.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ganymede_kernels::allocator::{MiMalloc, keep_freed_memory};
use ganymede_kernels::{
    AdamStep, BiasAct, Conv, ConvGeometry, NormAct, adam, average, bias_act_backward, conv_forward, conv_input, conv_weight, gate,
    instruction_set, matmul, matmul_nt, matmul_tn, norm_act, norm_act_backward, peak, tanh, tanh_backward,
};

/// As in the program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Median seconds of `work`, over about half a second.
fn median(mut work: impl FnMut()) -> f64 {
    work();
    let mut times = Vec::new();
    let started = Instant::now();
    while times.len() < 5 || (started.elapsed() < Duration::from_millis(300) && times.len() < 2000) {
        let once = Instant::now();
        work();
        times.push(once.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|i| (1.7 * i as f32).sin()).collect()
}

struct Table {
    filter: String,
    threads: usize,
}

impl Table {
    fn row(&self, name: &str, operations: f64, work: impl FnMut()) {
        if name.contains(&self.filter) {
            let before = peak(self.threads);
            let secs = median(work);
            let (rate, peak) = (operations / secs, (before + peak(self.threads)) / 2.0);
            println!("{name:<52} {:>9.3} ms {:>7.1} of {:>4.0} GFLOP/s {:>5.0}%", secs * 1e3, rate / 1e9, peak / 1e9, 100.0 * rate / peak);
        }
    }

    /// `moves`: how many times the kernel's definition reads or writes `n` values.
    fn pass(&self, name: &str, n: usize, moves: usize, work: impl FnMut()) {
        let name = format!("{name}, {n} values");
        if name.contains(&self.filter) {
            let before = self.copy(n);
            let secs = median(work);
            let (rate, copy) = ((4 * n * moves) as f64 / secs, (before + self.copy(n)) / 2.0);
            println!("{name:<52} {:>9.3} ms {:>7.1} of {:>4.0} GB/s    {:>5.0}%", secs * 1e3, rate / 1e9, copy / 1e9, 100.0 * rate / copy);
        }
    }

    /// Bytes a second read and written by copying `n` values on all threads.
    fn copy(&self, n: usize) -> f64 {
        const TIMES: usize = 50;
        let (from, mut to) = (wave(n), vec![0.0; n]);
        let piece = n.div_ceil(self.threads);
        let often = |to: &mut [f32], from: &[f32]| {
            let once = Instant::now();
            for _ in 0..TIMES {
                to.copy_from_slice(black_box(from));
                black_box(&mut *to);
            }
            once.elapsed().as_secs_f64()
        };
        // The slowest thread's time, without what it takes to start them.
        let slowest = || {
            std::thread::scope(|scope| {
                let started: Vec<_> =
                    to.chunks_mut(piece).zip(from.chunks(piece)).map(|(to, from)| scope.spawn(move || often(to, from))).collect();
                started.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
            })
        };
        (8 * n * TIMES) as f64 / { slowest }()
    }

    /// All passes over the rows `[n, channels]` of an activation.
    fn rows(&self, n: usize, channels: usize) {
        let (x, g, gamma, beta) = (wave(n * channels), wave(n * channels), wave(channels), wave(channels));
        let norm = NormAct { gamma: &gamma, beta: &beta, epsilon: 1e-5, slope: 0.2 };
        let (_, statistics) = norm_act(&x, norm);
        let shape = format!("{n} x {channels}");
        self.pass(&format!("batch norm forward {shape}"), x.len(), 3, || drop(black_box(norm_act(&x, norm))));
        self.pass(&format!("batch norm backward {shape}"), x.len(), 5, || drop(black_box(norm_act_backward(&x, &g, norm, &statistics))));
        // Slope 1 and tanh 0, because the same values are changed again and again.
        let (mut moved, mut db, zeros) = (g.clone(), vec![0.0; channels], vec![0.0; x.len()]);
        self.pass(&format!("bias and leaky ReLU backward {shape}"), x.len(), 3, || bias_act_backward(&mut moved, &x, 1.0, &mut db));
        self.pass(&format!("gate {shape}"), x.len(), 3, || gate(&mut moved, &x, 1.0));
        self.pass(&format!("tanh forward {shape}"), x.len(), 2, || tanh(&mut moved));
        self.pass(&format!("tanh backward {shape}"), x.len(), 3, || tanh_backward(&mut moved, &zeros));
    }

    fn optimizer(&self, n: usize) {
        let step = AdamStep { rate: 1e-9, beta1: 0.5, beta2: 0.9, correction2: 1.0, epsilon: 1e-8 };
        let (mut w, g, mut mean, mut square, mut mean_w) = (wave(n), wave(n), wave(n), vec![1.0; n], wave(n));
        self.pass("Adam", n, 7, || adam(&mut w, &g, &mut mean, &mut square, step));
        self.pass("moving average", n, 3, || average(&mut mean_w, &w, 0.999));
    }

    fn conv(&self, name: &str, batch: usize, conv: Conv) {
        let ConvGeometry { image: [h, w], kernel: [kh, kw], groups, .. } = conv.geometry;
        let [oh, ow] = conv.geometry.output();
        let [n_x, n_g] = [h * w * conv.inputs, oh * ow * conv.outputs].map(|n| n * batch);
        let n_w = kh * kw * conv.inputs / groups * conv.outputs;
        let operations = 2.0 * (n_w * oh * ow * batch) as f64;
        let (x, g, w) = (wave(n_x), wave(n_g), wave(n_w));
        self.row(&format!("conv {name}, forward"), operations, || drop(black_box(conv_forward(&conv, &x, &w, None))));
        self.row(&format!("conv {name}, input"), operations, || drop(black_box(conv_input(&conv, &g, &w))));
        self.row(&format!("conv {name}, weight"), operations, || drop(black_box(conv_weight(&conv, &x, &g))));
    }

    fn matmul(&self, name: &str, n: usize, extents: [usize; 2]) {
        let [k, m] = extents;
        let operations = 2.0 * (n * k * m) as f64;
        let (x, g, w, bias) = (wave(n * k), wave(n * m), wave(k * m), wave(m));
        let act = || Some(BiasAct { bias: &bias, slope: 0.2 });
        let shape = format!("{n} x {k} x {m}");
        self.row(&format!("linear {name} {shape}, forward"), operations, || drop(black_box(matmul(&x, &w, extents, act()))));
        self.row(&format!("linear {name} {shape}, input"), operations, || drop(black_box(matmul_nt(&g, &w, extents))));
        self.row(&format!("linear {name} {shape}, weight"), operations, || drop(black_box(matmul_tn(&x, &g, extents))));
    }
}

fn main() {
    keep_freed_memory();
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let threads = std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let table = Table { filter, threads };
    println!("{}, {threads} threads", instruction_set());

    let square = |side: usize, kernel: usize, stride: usize, groups: usize, [inputs, outputs]: [usize; 2]| {
        let padding = [kernel / 2 - usize::from(kernel == 4); 2];
        let geometry = ConvGeometry { image: [side; 2], kernel: [kernel; 2], stride: [stride; 2], padding, groups };
        Conv { geometry, inputs, outputs }
    };
    table.conv("dcgan 32 3->64 4x4/2", 64, square(32, 4, 2, 1, [3, 64]));
    table.conv("dcgan 16 64->128 4x4/2", 64, square(16, 4, 2, 1, [64, 128]));
    table.conv("dcgan 8 128->256 4x4/2", 64, square(8, 4, 2, 1, [128, 256]));
    table.conv("grouped 16 96 3x3", 64, square(16, 3, 1, 6, [96, 96]));
    table.conv("grouped 8 192 3x3", 64, square(8, 3, 1, 12, [192, 192]));
    table.conv("grouped 28 128 3x3", 64, square(28, 3, 1, 8, [128, 128]));
    table.conv("dense 32 64 3x3", 16, square(32, 3, 1, 1, [64, 64]));
    table.conv("dense 32 256 3x3", 8, square(32, 3, 1, 1, [256, 256]));
    table.matmul("1x1", 16384, [48, 96]);
    table.matmul("1x1", 4096, [96, 192]);
    table.matmul("1x1", 50176, [64, 128]);
    table.matmul("mlp", 256, [128, 128]);
    table.matmul("mlp", 512, [128, 128]);
    table.matmul("ctgan", 500, [256, 256]);
    table.matmul("ctgan", 500, [384, 256]);
    table.matmul("ctgan", 500, [640, 156]);
    table.matmul("ctgan", 100, [2600, 256]);
    table.rows(16384, 64);
    table.rows(4096, 128);
    table.rows(500, 256);
    table.optimizer(665_600);
    table.optimizer(65_536);
}
