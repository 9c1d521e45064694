//! Sixteen floats at a time: one body, compiled for several instruction sets, chosen at run time.
//!
//! `GANYMEDE_SIMD=avx2` or `GANYMEDE_SIMD=portable` in the environment holds a processor below what it can do, for tests and comparisons.

use std::sync::OnceLock;

/// Floats in a [`Lanes`].
pub(crate) const LANES: usize = 16;

/// Sixteen floats in registers.
///
/// The vector types below, except for [`Portable`], may only be named inside [`dispatch`], which calls a body with a type only after the processor said that it has the
/// instructions; every `unsafe` block of their methods rests on that.
pub(crate) trait Lanes: Copy {
    /// How many of them are summed in registers at once, beside what is multiplied.
    const SUMS: usize;

    fn splat(value: f32) -> Self;
    fn load(values: &[f32; LANES]) -> Self;
    fn store(self, values: &mut [f32; LANES]);
    /// `a * b + self`.
    fn add_product(self, a: Self, b: Self) -> Self;
}

/// A body that can be compiled for an instruction set. `run` must be `#[inline(always)]`, and so must whatever it calls with `L`.
pub(crate) trait Body {
    fn run<L: Lanes>(self);
}

/// Runs `work`, a loop that moves values around, with the wide moves of the best instruction set. What it calls must be `#[inline(always)]`.
pub(crate) fn moving(work: impl FnOnce()) {
    struct Move<F>(F);
    impl<F: FnOnce()> Body for Move<F> {
        #[inline(always)]
        fn run<L: Lanes>(self) {
            (self.0)();
        }
    }
    dispatch(Move(work));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let wish = std::env::var("GANYMEDE_SIMD").unwrap_or_default();
            if wish != "portable" {
                if wish != "avx2" && is_x86_feature_detected!("avx512f") {
                    return Level::Avx512;
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    return Level::Avx2;
                }
            }
        }
        Level::Portable
    })
}

/// Name of the instruction set in use: `avx512`, `avx2` or `portable`.
pub fn instruction_set() -> &'static str {
    match level() {
        Level::Portable => "portable",
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => "avx2",
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => "avx512",
    }
}

/// Runs `body` with the best instruction set of this processor.
pub(crate) fn dispatch<B: Body>(body: B) {
    match level() {
        Level::Portable => body.run::<Portable>(),
        // SAFETY: this level was chosen because the processor has the instructions that the function is compiled with.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::avx2(body) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::avx512(body) },
    }
}

/// An array that the compiler turns into what the baseline has.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Lanes for Portable {
    const SUMS: usize = 2;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(*values)
    }
    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        *values = self.0;
    }
    #[inline(always)]
    fn add_product(mut self, a: Self, b: Self) -> Self {
        for ((s, a), b) in self.0.iter_mut().zip(a.0).zip(b.0) {
            // A fused operation would be a slow library call where the baseline has none.
            *s = if cfg!(target_arch = "aarch64") { a.mul_add(b, *s) } else { a * b + *s };
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Body, LANES, Lanes};

    #[target_feature(enable = "avx512f")]
    pub fn avx512<B: Body>(body: B) {
        body.run::<Avx512>();
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2<B: Body>(body: B) {
        body.run::<Avx2>();
    }

    #[derive(Clone, Copy)]
    pub struct Avx512(__m512);

    impl Lanes for Avx512 {
        const SUMS: usize = 16;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: only reached through `dispatch` on a processor with AVX-512.
            Self(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            // SAFETY: AVX-512 as above; the reference is valid for 16 floats and the load needs no alignment.
            Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            // SAFETY: AVX-512 as above; the reference is valid for 16 floats and the store needs no alignment.
            unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: AVX-512 as above.
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx2(__m256, __m256);

    impl Lanes for Avx2 {
        // Two registers each, of sixteen.
        const SUMS: usize = 4;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: only reached through `dispatch` on a processor with AVX2.
            let v = unsafe { _mm256_set1_ps(value) };
            Self(v, v)
        }
        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            let p = values.as_ptr();
            // SAFETY: AVX2 as above; the reference is valid for 16 floats and the loads need no alignment.
            unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
        }
        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            let p = values.as_mut_ptr();
            // SAFETY: AVX2 as above; the reference is valid for 16 floats and the stores need no alignment.
            unsafe {
                _mm256_storeu_ps(p, self.0);
                _mm256_storeu_ps(p.add(8), self.1);
            }
        }
        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: AVX2 and FMA as above.
            unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn every_instruction_set_passes_the_same_tests() {
        if std::env::var_os("GANYMEDE_SIMD").is_some() {
            return;
        }
        for level in ["avx2", "portable"] {
            let output = Command::new(std::env::current_exe().unwrap()).env("GANYMEDE_SIMD", level).output().unwrap();
            assert!(output.status.success(), "{level}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
