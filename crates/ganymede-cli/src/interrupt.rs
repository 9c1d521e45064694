//! Ctrl-C, SIGTERM and a closed terminal: the first asks to stop after the current step, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::output::Output;

/// Exit status of a program that was interrupted.
pub const EXIT_CODE: u8 = 130;

/// Starts listening. The flag becomes true with the first signal.
pub fn listen(output: Output) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        flag.store(true, Ordering::SeqCst);
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(EXIT_CODE.into());
        }
        output.say("\nfinishing this step and saving; once more to stop at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
