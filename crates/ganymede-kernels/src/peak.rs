//! What the processor's multipliers can do at most.

use std::hint::black_box;
use std::time::Instant;

use crate::simd::{Body, LANES, Lanes, dispatch};

/// Independent sums, enough to keep every multiplier busy, where there are registers for them.
const SUMS: usize = 16;
const ROUNDS: usize = 1 << 17;

/// Measured floating-point operations per second of `threads` threads that do nothing but multiply and add in registers; the best of some tries,
/// because others are slowed by whatever else runs, some hundredths of a second of work. The yardstick of `benches/kernels.rs`.
pub fn peak(threads: usize) -> f64 {
    let operations = (2 * SUMS * LANES * ROUNDS * threads) as f64;
    let once = || {
        let started = Instant::now();
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| dispatch(Multiply)))));
        operations / started.elapsed().as_secs_f64()
    };
    (0..15).map(|_| once()).fold(0.0, f64::max)
}

struct Multiply;

impl Body for Multiply {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        if L::SUMS < SUMS { multiply::<L, 4>() } else { multiply::<L, SUMS>() }
    }
}

/// As many operations, whatever the number of independent sums.
#[inline(always)]
fn multiply<L: Lanes, const N: usize>() {
    let (a, b) = (L::splat(black_box(0.999)), L::splat(black_box(1e-3)));
    // Every sum is another, or the compiler would compute but one of them.
    let mut sums: [L; N] = std::array::from_fn(|i| L::splat(black_box(i as f32)));
    for _ in 0..ROUNDS * SUMS / N {
        for sum in &mut sums {
            *sum = sum.add_product(a, b);
        }
    }
    let mut out = [[0.0; LANES]; N];
    sums.iter().zip(&mut out).for_each(|(sum, out)| sum.store(out));
    black_box(out);
}

#[cfg(test)]
mod tests {
    #[test]
    fn something_is_measured() {
        assert!(super::peak(1).is_finite() && super::peak(1) > 0.0);
    }
}
