//! The pushed message: a number, and a filling that follows from it so that a torn copy is noticed.

/// Writes message `sequence` over all of `bytes`, at least eight.
#[inline]
pub fn compose(bytes: &mut [u8], sequence: u64) {
    let (number, filling) = bytes.split_at_mut(8);
    number.copy_from_slice(&sequence.to_le_bytes());
    filling.fill(sequence as u8);
}

/// The number of a message that arrived whole.
#[inline]
pub fn decode(bytes: &[u8], size: usize) -> Option<u64> {
    let (number, filling) = bytes.split_first_chunk::<8>()?;
    let sequence = u64::from_le_bytes(*number);
    let whole = bytes.len() == size && filling.iter().all(|byte| *byte == sequence as u8);
    whole.then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_torn_is_noticed() {
        let mut bytes = [0; 20];
        for sequence in [0, 1, 255, 256, 1 << 40] {
            compose(&mut bytes, sequence);
            assert_eq!(decode(&bytes, 20), Some(sequence));
        }
        compose(&mut bytes, 7);
        bytes[19] = 8;
        assert_eq!(decode(&bytes, 20), None);
        assert_eq!(decode(&bytes[..8], 20), None);
        assert_eq!(decode(&bytes[..3], 3), None);
    }
}
