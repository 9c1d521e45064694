//! What a discriminator's forward pass leaves for its transposed pass.

use burn::tensor::Tensor;

/// A stack of the values that decided the leaky ReLUs' branches, last in, first out; or nothing at all.
#[derive(Debug, Default)]
pub struct Tape {
    recording: bool,
    vectors: Vec<Tensor<2>>,
    images: Vec<Tensor<4>>,
    toward: Option<Tensor<2>>,
}

impl Tape {
    /// A tape that records.
    pub fn recording() -> Self {
        Self { recording: true, ..Self::default() }
    }

    /// A tape that keeps nothing, for forward passes that no transposed pass follows.
    pub fn off() -> Self {
        Self::default()
    }

    /// Keeps `[n, c]`.
    pub fn push_vector(&mut self, x: &Tensor<2>) {
        if self.recording {
            self.vectors.push(x.clone());
        }
    }

    /// Keeps `[n, h, w, c]`.
    pub fn push_image(&mut self, x: &Tensor<4>) {
        if self.recording {
            self.images.push(x.clone());
        }
    }

    /// Makes the transposed pass give the gradient of the sum of the logits and of the products of what the auxiliary classifier tells with `along`, `[n, condition]`.
    pub fn toward(&mut self, along: Tensor<2>) {
        self.toward = Some(along);
    }

    /// Takes what [`Tape::toward`] was given, `[n, condition]`.
    pub fn pop_toward(&mut self) -> Option<Tensor<2>> {
        self.toward.take()
    }

    /// Takes back the newest `[n, c]`.
    ///
    /// # Panics
    /// If there is none: the transposed pass does not mirror the forward pass, or the tape was off.
    pub fn pop_vector(&mut self) -> Tensor<2> {
        self.vectors.pop().expect("the transposed pass takes what the forward pass recorded")
    }

    /// Takes back the newest `[n, h, w, c]`.
    ///
    /// # Panics
    /// As [`Tape::pop_vector`].
    pub fn pop_image(&mut self) -> Tensor<4> {
        self.images.pop().expect("the transposed pass takes what the forward pass recorded")
    }
}
