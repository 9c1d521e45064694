//! Memory that a kernel needs while it works, kept from one call to the next.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Buffers of this many floats are kept for all threads together: a training may begin each step on another one.
const LARGE: usize = 1 << 20;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}
static FREE_LARGE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Runs `work` with `n` floats of which nothing is known.
pub(crate) fn with_scratch<T>(n: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    // While `work` waits for other threads this one may begin another kernel, which then takes another buffer.
    let mut buffer = if n < LARGE { FREE.with_borrow_mut(Vec::pop) } else { large().pop() }.unwrap_or_default();
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    let result = work(&mut buffer[..n]);
    if n < LARGE {
        FREE.with_borrow_mut(|free| free.push(buffer))
    } else {
        large().push(buffer)
    }
    result
}

fn large() -> MutexGuard<'static, Vec<Vec<f32>>> {
    FREE_LARGE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_apart_and_used_again() {
        let first = with_scratch(10, |a| {
            a.fill(1.0);
            with_scratch(20, |b| b.fill(2.0));
            assert!(a.len() == 10 && a.iter().all(|v| *v == 1.0));
            a.as_ptr()
        });
        assert!(with_scratch(5, |a| a.as_ptr() == first));
        with_scratch(LARGE, |a| with_scratch(LARGE, |b| assert!(a.len() == LARGE && b.len() == LARGE && a.as_ptr() != b.as_ptr())));
    }
}
