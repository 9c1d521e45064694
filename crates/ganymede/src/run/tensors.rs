//! Tensors as safetensors bytes, the format that other tools read without running code (<https://github.com/huggingface/safetensors>).

use std::collections::HashSet;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::types::{HostTensor, NamedTensors};
use crate::error::{Error, Result};

/// The bytes of a safetensors file with the tensors in the order given, so that equal tensors give equal bytes.
///
/// `path` is where they will lie, for the message.
///
/// # Errors
/// [`Error::Run`] for a tensor that is named twice or whose number of values is not the product of its shape.
pub fn to_safetensors(path: &Path, tensors: &[(String, HostTensor)]) -> Result<Vec<u8>> {
    let wrong = |problem: String| Error::run(path, problem, "this is a mistake in the task; please report it");
    let mut header = String::from("{\"__metadata__\":{\"format\":\"ganymede\"}");
    let mut names = HashSet::new();
    let mut offset = 0;
    for (name, tensor) in tensors {
        if name == "__metadata__" || !names.insert(name) {
            return Err(wrong(format!("tensor \"{name}\" has a name that is taken")));
        }
        if n_elements(&tensor.shape) != Some(tensor.values.len()) {
            return Err(wrong(format!("tensor \"{name}\" of shape {:?} holds {} values", tensor.shape, tensor.values.len())));
        }
        let end = offset + 4 * tensor.values.len();
        header.push_str(&format!(
            ",{}:{{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[{offset},{end}]}}",
            serde_json::Value::from(name.as_str()),
            serde_json::Value::from(tensor.shape.clone()),
        ));
        offset = end;
    }
    header.push('}');
    // The data starts at a multiple of 8 bytes, as the format asks; spaces are legal after JSON.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut bytes = Vec::with_capacity(8 + header.len() + offset);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    for value in tensors.iter().flat_map(|(_, tensor)| &tensor.values) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    Ok(bytes)
}

/// The tensors of a safetensors file, in the order in which they lie in it (those without values by name). Nothing is allocated on the header's
/// word: the declared sizes must add up to the bytes that are there.
///
/// `path` is where they were read, for the message.
///
/// # Errors
/// [`Error::Run`] for a file that is cut off, damaged, or holds values that are not 32-bit floats.
pub fn from_safetensors(path: &Path, bytes: &[u8]) -> Result<NamedTensors> {
    let wrong = |problem: String| Error::run(path, problem, "the file is cut off or damaged; use another copy of it");
    let file = SafeTensors::deserialize(bytes).map_err(|e| wrong(format!("is not a whole safetensors file ({e})")))?;
    let mut found: Vec<_> = file.iter().collect();
    found.sort_by(|(name_a, a), (name_b, b)| {
        (a.data().as_ptr(), a.data().len(), *name_a).cmp(&(b.data().as_ptr(), b.data().len(), *name_b))
    });
    found
        .into_iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                return Err(wrong(format!("holds tensor \"{name}\" of type {:?} where F32 is expected", view.dtype())));
            }
            let values = view.data().as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
            Ok((name.to_string(), HostTensor { shape: view.shape().to_vec(), values }))
        })
        .collect()
}

/// Name of the first tensor that holds a value which is not a finite number.
pub fn first_non_finite(tensors: &[(String, HostTensor)]) -> Option<&str> {
    tensors.iter().find(|(_, tensor)| tensor.values.iter().any(|v| !v.is_finite())).map(|(name, _)| name.as_str())
}

fn n_elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tensor(shape: &[usize], values: &[f32]) -> HostTensor {
        HostTensor { shape: shape.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn bytes_are_the_ones_of_the_published_format() {
        let bytes = to_safetensors(Path::new("w"), &[("w".into(), tensor(&[1, 2], &[1.0, -2.0]))]).unwrap();
        let header = br#"{"__metadata__":{"format":"ganymede"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
        assert_eq!(bytes[..8], (header.len().next_multiple_of(8) as u64).to_le_bytes());
        assert_eq!(&bytes[8..8 + header.len()], header);
        assert_eq!(bytes[bytes.len() - 8..], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        assert_eq!(bytes.len() % 8, 0);
    }

    #[test]
    fn wrong_counts_and_double_names_are_refused() {
        assert!(to_safetensors(Path::new("w"), &[("w".into(), tensor(&[3], &[1.0]))]).unwrap_err().to_string().contains("holds 1 values"));
        assert!(to_safetensors(Path::new("w"), &[("w".into(), tensor(&[usize::MAX, 2], &[]))]).is_err());
        let twice = [("w".into(), tensor(&[], &[1.0])), ("w".into(), tensor(&[], &[1.0]))];
        assert!(to_safetensors(Path::new("w"), &twice).unwrap_err().to_string().contains("taken"));
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = to_safetensors(Path::new("w"), &[("w".into(), tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0]))]).unwrap();
        for n_bytes in 0..bytes.len() {
            assert!(from_safetensors(Path::new("w"), &bytes[..n_bytes]).is_err(), "cut to {n_bytes} bytes");
        }
    }

    #[test]
    fn other_number_types_are_refused() {
        let header = r#"{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}  "#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&1.0f64.to_le_bytes());
        assert!(from_safetensors(Path::new("w"), &bytes).unwrap_err().to_string().contains("F64"));
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_found() {
        let tensors = [("a".into(), tensor(&[1], &[1.0])), ("b".into(), tensor(&[2], &[1.0, f32::NAN]))];
        assert_eq!(first_non_finite(&tensors), Some("b"));
        assert_eq!(first_non_finite(&tensors[..1]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(shapes in prop::collection::vec(prop::collection::vec(1usize..4, 0..4), 0..6), seed in any::<u32>()) {
            let tensors: NamedTensors = shapes.into_iter().enumerate().map(|(idx, shape)| {
                let n: usize = shape.iter().product();
                let values = (0..n).map(|i| f32::from_bits(seed.wrapping_mul(2_654_435_761).wrapping_add(i as u32) & 0x7f7f_ffff)).collect();
                (format!("t\"{}é", 9 - idx), HostTensor { shape, values })
            }).collect();
            let bytes = to_safetensors(Path::new("w"), &tensors).unwrap();
            prop_assert_eq!(from_safetensors(Path::new("w"), &bytes).unwrap(), tensors);
        }

        #[test]
        fn a_flipped_byte_never_panics(position in any::<prop::sample::Index>(), mask in 1u8..) {
            let mut bytes = to_safetensors(Path::new("w"), &[("a".into(), tensor(&[2], &[1.0, 2.0])), ("b".into(), tensor(&[], &[3.0]))]).unwrap();
            let at = position.index(bytes.len());
            bytes[at] ^= mask;
            let _ = from_safetensors(Path::new("w"), &bytes);
        }
    }
}
