//! The standard normal distribution.

/// Probability below `x`, to about 1e-15 for |x| below 7: Hart's rational approximation (Hart et al. 1968, "Computer Approximations", algorithm 5666), 0 or 1 beyond.
pub(super) fn cdf(x: f64) -> f64 {
    let z = x.abs();
    if z >= 7.0 {
        return if x < 0.0 { 0.0 } else { 1.0 };
    }
    const NUMERATOR: [f64; 7] = [
        3.526_249_659_989_11e-2,
        0.700_383_064_443_688,
        6.373_962_203_531_65,
        33.912_866_078_383,
        112.079_291_497_871,
        221.213_596_169_931,
        220.206_867_912_376,
    ];
    const DENOMINATOR: [f64; 8] = [
        8.838_834_764_831_84e-2,
        1.755_667_163_182_64,
        16.064_177_579_207,
        86.780_732_202_946_1,
        296.564_248_779_674,
        637.333_633_378_831,
        793.826_512_519_948,
        440.413_735_824_752,
    ];
    let below = (-0.5 * z * z).exp() * polynomial(&NUMERATOR, z) / polynomial(&DENOMINATOR, z);
    if x < 0.0 { below } else { 1.0 - below }
}

/// The `x` below which the probability is `p`, for `p` from 1e-10 to 1 - 1e-10: Wichura 1988, "Algorithm AS 241", Applied Statistics 37(3), routine PPND16 without its far tails. Beyond, the value there.
pub(super) fn probit(p: f64) -> f64 {
    let p = p.clamp(1e-10, 1.0 - 1e-10);
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        const A: [f64; 8] = [
            2_509.080_928_730_122_7,
            33_430.575_583_588_13,
            67_265.770_927_008_7,
            45_921.953_931_549_87,
            13_731.693_765_509_46,
            1_971.590_950_306_551_3,
            133.141_667_891_784_38,
            3.387_132_872_796_366_5,
        ];
        const B: [f64; 8] = [
            5_226.495_278_852_854,
            28_729.085_735_721_943,
            39_307.895_800_092_71,
            21_213.794_301_586_597,
            5_394.196_021_424_751,
            687.187_007_492_057_9,
            42.313_330_701_600_91,
            1.0,
        ];
        let r = 0.180_625 - q * q;
        return q * polynomial(&A, r) / polynomial(&B, r);
    }
    const C: [f64; 8] = [
        7.745_450_142_783_414e-4,
        0.022_723_844_989_269_184,
        0.241_780_725_177_450_6,
        1.270_458_252_452_368_4,
        3.647_848_324_763_204_5,
        5.769_497_221_460_691,
        4.630_337_846_156_546,
        1.423_437_110_749_683_5,
    ];
    const D: [f64; 8] = [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        0.015_198_666_563_616_457,
        0.148_103_976_427_480_08,
        0.689_767_334_985_1,
        1.676_384_830_183_803_8,
        2.053_191_626_637_759,
        1.0,
    ];
    let r = (-p.min(1.0 - p).ln()).sqrt() - 1.6;
    (polynomial(&C, r) / polynomial(&D, r)).copysign(q)
}

/// Coefficients from the highest power down.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // Python 3.11: statistics.NormalDist().cdf(x) and .inv_cdf(p)
        for (x, p) in [
            (-3.7, 0.000_107_799_733_477_409_45),
            (-1.0, 0.158_655_253_931_457_05),
            (0.0, 0.5),
            (0.3, 0.617_911_422_188_952_7),
            (2.5, 0.993_790_334_674_223_8),
        ] {
            assert!((cdf(x) - p).abs() < 1e-14, "{x} {}", cdf(x));
            assert!((probit(p) - x).abs() < 1e-12, "{p} {}", probit(p));
        }
        assert!((probit(1e-9) + 5.997_807_015_007_686_8).abs() < 1e-9);
        assert!(probit(0.0).is_finite() && probit(1.0).is_finite());
    }

    #[test]
    fn they_are_inverse_and_rise() {
        let mut last = 0.0;
        for i in -5000..=5000 {
            let x = f64::from(i) / 1000.0;
            let p = cdf(x);
            assert!(p > last);
            last = p;
            assert!((probit(p) - x).abs() < 1e-8, "{x}");
        }
    }
}
