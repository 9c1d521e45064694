//! Between pictures as bytes and pictures as a network sees them.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::nets::{Frame, Network};
use crate::data::Channels;
use crate::error::{Error, Result};

/// How pictures of one data set are encoded: values in [-1, 1], edges repeated to the right and below up to the network's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Codec {
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// Channels.
    pub channels: Channels,
}

impl Codec {
    /// Bytes of one picture.
    pub fn n_bytes(&self) -> usize {
        self.height * self.width * self.channels.count()
    }

    /// Refuses extents that no model of ours has, before anything is built for them.
    ///
    /// # Errors
    /// [`Error::Config`] naming the extent.
    pub fn validate(&self) -> Result<()> {
        for (key, value) in [("height", self.height), ("width", self.width)] {
            if !(1..=1024).contains(&value) {
                return Err(Error::config(key, format!("{value} pixels are out of range"), "pictures have 1 to 1024 pixels on a side"));
            }
        }
        Ok(())
    }

    /// The networks' frame around these pictures.
    pub fn frame(&self, condition: usize) -> Frame {
        Frame::around([self.height, self.width], Network::COARSEST, self.channels.count(), condition)
    }

    /// Bytes `[height, width, channels]` of each picture, perhaps mirrored, as `[n, frame height, frame width, channels]`.
    pub fn encode<'a>(&self, pictures: impl Iterator<Item = (&'a [u8], bool)>, frame: &Frame, device: &Device) -> Tensor<4> {
        let c = self.channels.count();
        let [fh, fw] = frame.image;
        let mut values = Vec::new();
        let mut n = 0;
        for (picture, mirrored) in pictures {
            n += 1;
            for y in 0..fh {
                let row = &picture[y.min(self.height - 1) * self.width * c..][..self.width * c];
                for x in 0..fw {
                    let x = x.min(self.width - 1);
                    let x = if mirrored { self.width - 1 - x } else { x };
                    values.extend(row[x * c..(x + 1) * c].iter().map(|p| f32::from(*p) / 127.5 - 1.0));
                }
            }
        }
        Tensor::from_data(TensorData::new(values, [n, fh, fw, c]), device)
    }

    /// The inverse of [`Codec::encode`] for pictures that are not mirrored: rounds, clips and cuts the frame off.
    pub fn decode(&self, images: Tensor<4>) -> Vec<u8> {
        let [n, fh, fw, c] = images.dims();
        let values = images.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32");
        let mut bytes = Vec::with_capacity(n * self.n_bytes());
        for image in values.chunks_exact(fh * fw * c) {
            for row in image.chunks_exact(fw * c).take(self.height) {
                bytes.extend(row[..self.width * c].iter().map(|v| ((v + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8));
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_encoding_and_decoding() {
        let codec = Codec { height: 9, width: 13, channels: Channels::Rgb };
        let picture: Vec<u8> = (0..codec.n_bytes()).map(|i| (i * 7 % 256) as u8).collect();
        let frame = codec.frame(0);
        assert_eq!(frame.image, [10, 14]);
        let encoded = codec.encode([(&picture[..], false)].into_iter(), &frame, &Device::flex());
        assert_eq!(codec.decode(encoded), picture);
    }

    #[test]
    fn mirroring_turns_left_and_right_around() {
        let codec = Codec { height: 4, width: 4, channels: Channels::Grey };
        let picture: Vec<u8> = (0..16).collect();
        let encoded = codec.encode([(&picture[..], true)].into_iter(), &codec.frame(0), &Device::flex());
        assert_eq!(codec.decode(encoded)[..4], [3, 2, 1, 0]);
    }
}
