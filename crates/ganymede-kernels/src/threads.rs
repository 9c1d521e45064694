//! Threads that share the pieces of a kernel's work. Between kernels they wait for the next one for a while without sleeping: a small network is a quick succession
//! of kernels of some microseconds each, less than it takes to wake a thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{self, Thread};

/// Looks for new work before a thread goes to sleep: about half a millisecond.
const LOOKS: usize = 10_000;
/// Looks for the end of the others' work before the rest of the system gets a turn.
const PATIENCE: usize = 10_000;

/// Threads that kernels use: `RAYON_NUM_THREADS`, as for everything else that runs on the CPU, or as many as the processor has.
pub fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| {
        let wish = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        wish.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
    })
}

/// Calls `work(state, number, item)` for every item, shared among threads, each with a state of its own. Who gets which item is not defined.
pub(crate) fn each<T: Send, S>(items: impl Iterator<Item = T>, state: impl Fn() -> S + Sync, work: impl Fn(&mut S, usize, T) + Sync) {
    let items: Vec<Mutex<Option<T>>> = items.map(|item| Mutex::new(Some(item))).collect();
    let next = AtomicUsize::new(0);
    let share = || {
        let mut own = None;
        loop {
            let number = next.fetch_add(1, SeqCst);
            let Some(item) = items.get(number) else { break };
            if let Some(item) = locked(item).take() {
                work(own.get_or_insert_with(&state), number, item);
            }
        }
    };
    if items.len() > 1 { together(&share) } else { share() }
}

/// Values of each piece of `n` where `unit` of them are worth a thread's start: below two units all of them.
pub(crate) fn piece(n: usize, unit: usize) -> usize {
    if n < 2 * unit { n.max(1) } else { unit }
}

/// What `work(number, item)` makes of every item, in their order.
pub(crate) fn map<T: Send, R: Send>(items: impl Iterator<Item = T>, work: impl Fn(usize, T) -> R + Sync) -> Vec<R> {
    let mut results: Vec<(Option<T>, Option<R>)> = items.map(|item| (Some(item), None)).collect();
    each(results.iter_mut(), || (), |(), number, (item, result)| *result = item.take().map(|item| work(number, item)));
    results.into_iter().filter_map(|(_, result)| result).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `share` on this thread and on as many others as come in time; returns when all of them have returned from it.
fn together(share: &(dyn Fn() + Sync)) {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let helpers = threads() - 1;
    if helpers == 0 {
        return share();
    }
    let pool = POOL.get_or_init(Pool::default);
    // One kernel at a time: where there is another, above this one or on another thread, the helpers have enough to do.
    let _turn = match pool.turn.try_lock() {
        Ok(turn) => turn,
        Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
        Err(TryLockError::WouldBlock) => return share(),
    };
    pool.staff(helpers);
    // Closes the work on every way out of this function, a panic of `share` among them.
    let open = Open::begin(pool, share);
    share();
    drop(open);
    if pool.panics.swap(0, SeqCst) > 0 {
        resume_unwind(Box::new("a helper of this kernel panicked"));
    }
}

type Share = &'static (dyn Fn() + Sync);

#[derive(Default)]
struct Pool {
    /// Held by the thread whose work it is.
    turn: Mutex<()>,
    helpers: Mutex<Vec<Thread>>,
    /// The work that is open to helpers.
    work: Mutex<Option<Share>>,
    /// Counts the works.
    number: AtomicUsize,
    /// Helpers that are inside the work.
    inside: AtomicUsize,
    /// Helpers that sleep or are about to.
    asleep: AtomicUsize,
    panics: AtomicUsize,
}

impl Pool {
    /// Starts the helpers, once. Where the system gives fewer threads there are fewer helpers.
    fn staff(&'static self, count: usize) {
        let mut helpers = locked(&self.helpers);
        if helpers.is_empty() {
            let start = |i| thread::Builder::new().name(format!("kernel-{i}")).spawn(|| self.help()).ok();
            helpers.extend((0..count).map_while(start).map(|handle| handle.thread().clone()));
        }
    }

    /// The life of a helper.
    fn help(&self) {
        let mut seen = 0;
        loop {
            seen = self.wait(seen);
            let share = {
                let work = locked(&self.work);
                if work.is_some() {
                    // Counted while the work is locked, so that whoever closes it knows of everyone inside.
                    self.inside.fetch_add(1, SeqCst);
                }
                *work
            };
            if let Some(share) = share {
                if catch_unwind(AssertUnwindSafe(share)).is_err() {
                    self.panics.fetch_add(1, SeqCst);
                }
                self.inside.fetch_sub(1, SeqCst);
            }
        }
    }

    /// The number of the next work after `seen`.
    fn wait(&self, seen: usize) -> usize {
        for _ in 0..LOOKS {
            let number = self.number.load(SeqCst);
            if number != seen {
                return number;
            }
            std::hint::spin_loop();
        }
        self.asleep.fetch_add(1, SeqCst);
        // Whoever opens a work counts it first and then looks for sleepers: one of the two sees the other.
        while self.number.load(SeqCst) == seen {
            thread::park();
        }
        self.asleep.fetch_sub(1, SeqCst);
        self.number.load(SeqCst)
    }
}

/// Work that is open to helpers until this is dropped.
struct Open<'a>(&'a Pool);

impl<'a> Open<'a> {
    fn begin(pool: &'a Pool, share: &(dyn Fn() + Sync)) -> Self {
        // SAFETY: only the lifetime changes. Helpers get the reference out of `pool.work` and count themselves in `pool.inside` while that is locked; dropping the
        // `Open` takes it out and then waits until nobody is inside, and `together` drops it before it returns or unwinds. So nobody uses it after its life.
        let share = unsafe { std::mem::transmute::<&(dyn Fn() + Sync), Share>(share) };
        *locked(&pool.work) = Some(share);
        pool.number.fetch_add(1, SeqCst);
        if pool.asleep.load(SeqCst) > 0 {
            locked(&pool.helpers).iter().for_each(Thread::unpark);
        }
        Self(pool)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        *locked(&self.0.work) = None;
        let mut looks = 0;
        while self.0.inside.load(SeqCst) > 0 {
            looks += 1;
            if looks < PATIENCE { std::hint::spin_loop() } else { thread::yield_now() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_results_keep_their_order() {
        for n in [0, 1, 2, 1000] {
            assert_eq!(map(0..n, |number, item| (number, 2 * item)), (0..n).map(|i| (i, 2 * i)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn many_threads_and_works_within_works_get_along() {
        let total = || map(0..20usize, |_, i| map(0..i, |_, j| j).into_iter().sum::<usize>()).into_iter().sum::<usize>();
        let expected: usize = (0..20).map(|i| (0..i).sum::<usize>()).sum();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| assert_eq!(total(), expected)));
            }
        });
    }

    #[test]
    fn a_sleeping_helper_is_woken_and_a_panic_is_passed_on() {
        map(0..4, |_, _| ());
        thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(map(0..4, |_, i| i).len(), 4);
        let panicked = catch_unwind(|| map(0..64, |_, i| assert!(i != 40)));
        assert!(panicked.is_err());
        assert_eq!(map(0..64, |_, i| i).len(), 64);
    }
}
