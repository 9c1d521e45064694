use super::*;

const SHAPE: Shape = Shape { height: 6, width: 8, channels: 3 };
const POLICIES: [Policy; 3] = [Policy::DiffAugment, Policy::Translation, Policy::Ada];

fn noise(n: usize, shape: Shape, purpose: &str) -> Tensor<4> {
    let dims = [n, shape.height, shape.width, shape.channels];
    let values = random::normal(dims.iter().product(), &mut random::stream(1, purpose, 0));
    Tensor::from_data(burn::tensor::TensorData::new(values, dims), &Device::flex())
}

fn values(x: Tensor<4>) -> Vec<f64> {
    x.into_data().convert::<f64>().try_to_vec().unwrap()
}

fn distortion(policy: Policy, p: f64, n: usize, shape: Shape) -> PictureDistortion {
    PictureDistortion::draw(policy, p, (n, shape), (3, "test", 0), &Device::flex())
}

fn dot(a: Tensor<4>, b: Tensor<4>) -> f64 {
    values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum()
}

#[test]
fn the_transposed_distortion_is_the_adjoint_of_the_linear_part() {
    for policy in POLICIES {
        for channels in [1, 3, 4] {
            let shape = Shape { channels, ..SHAPE };
            let distortion = distortion(policy, 0.8, 5, shape);
            let (x, y, g) = (noise(5, shape, "x"), noise(5, shape, "y"), noise(5, shape, "g"));
            let difference = distortion.apply(x.clone()) - distortion.apply(y.clone());
            let expected = dot(difference, g.clone());
            let found = dot(x - y, distortion.transposed(g));
            assert!((expected - found).abs() < 1e-4 * (1.0 + expected.abs()), "{policy:?} of {channels} channels: {expected} and {found}");
        }
    }
}

#[test]
fn a_part_is_distorted_as_it_is_among_all() {
    for policy in POLICIES {
        let (whole, x) = (distortion(policy, 0.8, 5, SHAPE), noise(5, SHAPE, "x"));
        let part = whole.part(1, 3);
        assert_eq!(values(part.apply(x.clone().narrow(0, 1, 3))), values(whole.apply(x.clone()).narrow(0, 1, 3)), "{policy:?}");
        assert_eq!(values(part.transposed(x.clone().narrow(0, 1, 3))), values(whole.transposed(x).narrow(0, 1, 3)), "{policy:?}");
    }
}

#[test]
fn gradients_go_back_through_a_distortion_as_through_its_adjoint() {
    for policy in POLICIES {
        let distortion = distortion(policy, 1.0, 3, SHAPE);
        let (x, g) = (noise(3, SHAPE, "x").autodiff().require_grad(), noise(3, SHAPE, "g"));
        let gradients = (distortion.apply(x.clone()) * g.clone().autodiff()).sum().backward();
        let found = values(x.grad(&gradients).unwrap());
        for (found, expected) in found.iter().zip(values(distortion.transposed(g))) {
            assert!((found - expected).abs() < 1e-5, "{policy:?}");
        }
    }
}

#[test]
fn the_adjoint_can_itself_be_differentiated() {
    // Of 1/2 |A' g|^2 the gradient is A A' g, without the constant.
    for policy in POLICIES {
        let distortion = distortion(policy, 1.0, 2, SHAPE);
        let g = noise(2, SHAPE, "g");
        let tracked = g.clone().autodiff().require_grad();
        let moved = distortion.transposed(tracked.clone());
        let gradients = (moved.clone() * moved).sum().mul_scalar(0.5).backward();
        let zero = distortion.apply(g.zeros_like());
        let expected = values(distortion.apply(distortion.transposed(g)) - zero);
        for (found, expected) in values(tracked.grad(&gradients).unwrap()).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{policy:?}");
        }
    }
}

#[test]
fn nothing_happens_at_probability_zero_and_by_no_policy() {
    let x = noise(4, SHAPE, "x");
    for (policy, p) in [(Policy::None, 1.0), (Policy::Ada, 0.0), (Policy::DiffAugment, 0.0)] {
        assert_eq!(values(distortion(policy, p, 4, SHAPE).apply(x.clone())), values(x.clone()));
    }
}

#[test]
fn a_probability_is_the_share_of_pictures_that_an_operation_changes() {
    // The cutout blanks a part of every picture.
    let shape = Shape { channels: 1, ..SHAPE };
    let n = 4000;
    let x = Tensor::<4>::ones([n, 6, 8, 1], &Device::flex());
    let changed = values(distortion(Policy::Translation, 0.3, n, shape).apply(x));
    let whole = changed.chunks(48).filter(|picture| picture.iter().all(|v| *v == 1.0)).count() as f64 / n as f64;
    // Shifts are of -1, 0 or 1 pixels along both axes: 8 of 9 show.
    let expected = (1.0 - 0.3) * (1.0 - 0.3 * 8.0 / 9.0);
    assert!((whole - expected).abs() < 0.03, "{whole} of pictures are whole, and {expected} was expected");
}

#[test]
fn opacity_is_moved_but_not_recoloured() {
    let shape = Shape { channels: 4, ..SHAPE };
    for policy in [Policy::DiffAugment, Policy::Ada] {
        let full = values(distortion(policy, 1.0, 20, shape).apply(Tensor::ones([20, 6, 8, 4], &Device::flex())));
        assert!(full.chunks(4).all(|pixel| pixel[3].abs() < 1e-6 || (pixel[3] - 1.0).abs() < 1e-5), "{policy:?}");
        assert!(full.chunks(4).any(|pixel| (pixel[0] - pixel[3]).abs() > 0.05), "{policy:?}");
    }
}

#[test]
fn draws_are_the_same_again_by_name() {
    let x = noise(4, SHAPE, "x");
    for policy in POLICIES {
        let draw = |update| values(PictureDistortion::draw(policy, 0.7, (4, SHAPE), (3, "test", update), &Device::flex()).apply(x.clone()));
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
    }
}
