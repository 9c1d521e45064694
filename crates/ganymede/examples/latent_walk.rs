//! A walk from the typical to the unusual: one sample at growing truncation. Latents are multiplied by 0.1, 0.2 ... 1: near 0 every sample looks
//! like the generator's idea of the average, at 1 it is itself.
//!
//! ```sh
//! cargo run --release -p ganymede --example latent_walk -- runs/0001-image-avatars walk 7
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;

use ganymede::session;
use ganymede::train::{SampleId, SampleRequest, Wish};

/// Samples along the way.
const STEPS: u32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("name a run directory or model folder, then a folder for the samples and a seed if you like")?;
    let folder = args.next().unwrap_or_else(|| "walk".to_owned());
    let seed = args.next().map_or(Ok(0), |text| text.parse())?;

    let model = session::open_model(Path::new(&model), "auto")?;
    let description = model.description();
    println!("{} of {} after {} steps", description.task, description.data.name, description.step);
    fs::create_dir_all(&folder)?;
    for step in 1..=STEPS {
        let truncation = f64::from(step) / f64::from(STEPS);
        // The same class all the way, where there are classes: it belongs to the identity, not to the truncation.
        let request = SampleRequest { ids: vec![SampleId { seed, index: 0 }], wish: Wish::Any, truncation, sheet: false };
        for sample in model.sample(&request)? {
            let path = Path::new(&folder).join(format!("{step:02}.{}", sample.extension));
            fs::write(&path, &sample.bytes)?;
            println!("truncation {truncation:.1}: {}", path.display());
        }
    }
    Ok(())
}
