//! What a mechanism spends: Rényi differential privacy of the Poisson-sampled Gaussian mechanism, composed and converted.

/// Orders at which Rényi divergences are followed.
const ORDERS: std::ops::RangeInclusive<u32> = 2..=256;
/// Noise multipliers that are looked through.
const NOISE: [f64; 2] = [1e-2, 1e6];

/// The Rényi divergences that mechanisms on the same rows spend together, at the orders 2 to 256. Curves add up when mechanisms are composed (Mironov, "Rényi Differential Privacy", CSF 2017), also when a later
/// one looks at the results of those before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger(Vec<f64>);

impl Default for Ledger {
    fn default() -> Self {
        Self(vec![0.0; ORDERS.count()])
    }
}

impl Ledger {
    /// Adds `times` uses of the Gaussian mechanism on rows of which each is in by itself with probability `rate` in [0, 1]; `noise` is the standard deviation of the noise over the norm of what one row
    /// adds. Neighbours differ by one row that is there or not.
    ///
    /// Mironov, Talwar and Zhang, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", 2019, section 3.3.
    pub fn spend(mut self, rate: f64, noise: f64, times: u64) -> Self {
        self.0.iter_mut().zip(ORDERS).for_each(|(sum, order)| *sum += times as f64 * sampled_gaussian(order, rate, noise));
        self
    }

    /// The epsilon for which all that was spent is (epsilon, `delta`)-differentially private.
    ///
    /// Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020, proposition 12.
    pub fn epsilon(&self, delta: f64) -> f64 {
        let at = |(divergence, order): (&f64, u32)| {
            let a = f64::from(order);
            divergence + (-1.0 / a).ln_1p() - (delta.ln() + a.ln()) / (a - 1.0)
        };
        self.0.iter().zip(ORDERS).map(at).fold(f64::INFINITY, f64::min).max(0.0)
    }

    /// The least noise at which `times` further uses at `rate` keep everything within `epsilon`, to six digits and on the safe side. Nothing if no noise does.
    pub fn noise_for(&self, (rate, times): (f64, u64), (epsilon, delta): (f64, f64)) -> Option<f64> {
        let is_within = |noise: f64| self.clone().spend(rate, noise, times).epsilon(delta) <= epsilon;
        let [mut low, mut high] = NOISE.map(f64::ln);
        if !is_within(high.exp()) {
            return None;
        }
        while high - low > 1e-6 {
            let middle = (low + high) / 2.0;
            if is_within(middle.exp()) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high.exp())
    }
}

/// The Rényi divergence of a whole `order` of one use.
fn sampled_gaussian(order: u32, rate: f64, noise: f64) -> f64 {
    let a = f64::from(order);
    if rate <= 0.0 {
        return 0.0;
    }
    if rate >= 1.0 {
        return a / (2.0 * noise * noise);
    }
    let mut ln_binomial = 0.0;
    let mut terms = Vec::with_capacity(order as usize + 1);
    for k in 0..=order {
        let k = f64::from(k);
        terms.push(ln_binomial + (a - k) * (-rate).ln_1p() + k * rate.ln() + (k * k - k) / (2.0 * noise * noise));
        ln_binomial += ((a - k) / (k + 1.0)).ln();
    }
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = terms.iter().map(|term| (term - most).exp()).sum::<f64>();
    // Rounding must not make it less than nothing.
    ((most + sum.ln()) / (a - 1.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilons_are_those_of_googles_accountant() {
        // dp-accounting, RdpAccountant with the orders 2 to 256.
        for (rate, noise, times, delta, expected) in [
            (0.01, 4.0, 10_000, 1e-5, 1.035_490_066_036),
            (0.01, 1.1, 6000, 1e-5, 4.264_088_370_675),
            (256.0 / 60_000.0, 1.1, 14_062, 1e-5, 2.596_981_178_595),
            (0.02, 0.7, 1000, 1e-6, 11.677_776_602_089),
            (1.0, 5.0, 1, 1e-5, 0.794_522_032_537),
            (512.0 / 26_049.0, 1.0, 4500, 1e-5, 9.515_562_658),
        ] {
            let epsilon = Ledger::default().spend(rate, noise, times).epsilon(delta);
            assert!((epsilon - expected).abs() < 1e-9, "{rate} {noise} {times}: {epsilon}, not {expected}");
        }
    }

    #[test]
    fn noise_is_found_that_spends_what_may_be_spent() {
        let what = (512.0 / 26_049.0, 4500);
        for (epsilon, expected) in [(3.0, 2.12), (1.0, 5.41)] {
            let noise = Ledger::default().noise_for(what, (epsilon, 1e-5)).unwrap();
            assert!((noise - expected).abs() < 0.01, "{noise}");
            let spent = Ledger::default().spend(what.0, noise, what.1).epsilon(1e-5);
            assert!(spent <= epsilon && spent > epsilon - 1e-4, "{spent}");
        }
        // What is left beside something else needs more noise; beside too much there is none.
        let spent = Ledger::default().spend(1.0, 3.0, 1);
        assert!(spent.noise_for(what, (3.0, 1e-5)).unwrap() > 2.12);
        assert_eq!(spent.noise_for(what, (0.5, 1e-5)), None);
    }

    #[test]
    fn composition_adds_curves_and_not_epsilons() {
        let [one, two] = [(0.1, 2.0, 50), (1.0, 4.0, 1)].map(|(rate, noise, times)| Ledger::default().spend(rate, noise, times));
        let both = Ledger::default().spend(0.1, 2.0, 50).spend(1.0, 4.0, 1).epsilon(1e-5);
        assert!(both > one.epsilon(1e-5).max(two.epsilon(1e-5)) && both < one.epsilon(1e-5) + two.epsilon(1e-5));
        assert_eq!(Ledger::default().spend(0.0, 1.0, 1000), Ledger::default());
    }
}
