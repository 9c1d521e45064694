//! How near generated samples are to real ones, by the published definitions, on feature vectors; how alike samples are to each other; and what
//! features know of classes.
//!
//! A figure says little by itself: it depends on the features, on how many samples there were and on the data. Compare it with the same figure of held-out real samples
//! (the best that can be reached) and of something trivial, on the same features and the same number of samples.

mod calibration;
mod features;
mod frechet;
mod kernel;
mod logistic;
mod memorisation;
mod modes;
mod ms_ssim;
mod multinomial;
mod nearest;
mod neighbours;
mod probe;
mod recurrent;
mod sliced;
#[cfg(test)]
mod tests;
mod two_sample;

pub use calibration::{Platt, calibration_error, share_above, threshold};
pub use features::Features;
pub(crate) use features::squared_distance;
pub use frechet::{Frechet, frechet};
pub use kernel::{KernelDistance, kernel_distance};
pub use memorisation::{Memorisation, Pair, memorisation};
pub use modes::{Modes, modes};
pub use ms_ssim::{Diversity, ms_ssim, ms_ssim_diversity};
pub use nearest::{NearestNeighbour, nearest_neighbour};
pub use neighbours::{Neighbourhoods, neighbourhoods};
pub use probe::{Accuracy, ProbeSettings, probe};
pub use recurrent::{Sequences, discriminative_score};
pub use sliced::sliced_wasserstein;
pub use two_sample::{Auc, auc, two_sample_test};
