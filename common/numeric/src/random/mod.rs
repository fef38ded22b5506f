//! Streams of random numbers, each a pure function of seed, fold, purpose and step.
//!
//! No generator is kept between steps. So a trajectory resumed at an update draws the same numbers as one without
//! interruption, and a lane in a bundle draws the same numbers as a lane alone.
//!
//! The bits are those of ChaCha with 8 rounds (Bernstein 2008). The key is a BLAKE3 hash of the stream's name.

mod chacha;
mod normal;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The purpose of a stream. Streams of one seed with different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The division of the training images into training and validation.
    Split,
    /// The order of the training images in an epoch.
    Order,
    /// The initial weights of a layer.
    Weights(u32),
    /// The feedback weights of a layer.
    Feedback(u32),
    /// The initial weights of a layer's decoder.
    Decoder(u32),
    /// The noise on the input of a layer's decoder.
    Noise(u32),
    /// The strokes of the synthetic digits.
    Digits,
    /// The noise on the pixels of the synthetic digits.
    PixelNoise,
    /// The signs of a sign-flip test with too many pairs to try every combination of signs.
    SignFlips,
    /// The initial weights of a layer's own classifier.
    Auxiliary(u32),
    /// The noise on the activations of a layer.
    LayerNoise(u32),
}

/// Random numbers for one purpose at one step.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u8; 32],
    bits: ChaCha8Rng,
}

impl Stream {
    /// The stream with this name. Equal arguments give equal numbers on every machine.
    #[must_use]
    pub fn new(seed: u64, fold: u32, purpose: Purpose, step: u64) -> Self {
        let (tag, layer): (u32, u32) = match purpose {
            Purpose::Split => (0, 0),
            Purpose::Order => (1, 0),
            Purpose::Weights(layer) => (2, layer),
            Purpose::Feedback(layer) => (3, layer),
            Purpose::Decoder(layer) => (4, layer),
            Purpose::Noise(layer) => (5, layer),
            Purpose::Digits => (6, 0),
            Purpose::PixelNoise => (7, 0),
            Purpose::SignFlips => (8, 0),
            Purpose::Auxiliary(layer) => (9, layer),
            Purpose::LayerNoise(layer) => (10, layer),
        };
        let mut hasher = blake3::Hasher::new_derive_key("biosweep random stream 1");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&fold.to_le_bytes());
        hasher.update(&tag.to_le_bytes());
        hasher.update(&layer.to_le_bytes());
        hasher.update(&step.to_le_bytes());
        let key = *hasher.finalize().as_bytes();
        Self { key, bits: ChaCha8Rng::from_seed(key) }
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.bits.next_u32()
    }

    /// A number from 0 to `count - 1`, each equally likely.
    ///
    /// Lemire, "Fast random integer generation in an interval" (2019).
    ///
    /// # Panics
    /// If `count` is 0.
    pub fn below(&mut self, count: u32) -> u32 {
        assert!(count > 0, "a draw from no numbers");
        let rejected = count.wrapping_neg() % count;
        loop {
            let product = u64::from(self.bits()) * u64::from(count);
            if product as u32 >= rejected {
                return (product >> 32) as u32;
            }
        }
    }

    /// A number in `[low, high)`, on a grid of 2⁻²⁴ of the interval.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0);
        low + (high - low) * unit
    }

    /// A random permutation of the numbers from 0 to `count - 1`, all orders equally likely (Fisher and Yates).
    pub fn permutation(&mut self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last as usize, self.below(last + 1) as usize);
        }
        order
    }

    /// Fills `out` with the stream's next normal numbers, of mean 0 and standard deviation `std`. They are independent
    /// of each other and of all earlier draws: no bits of a stream are used twice.
    pub fn fill_normal_f32(&mut self, out: &mut [f32], std: f64) {
        let std = std as f32;
        self.normals(out, |normal| normal * std);
    }

    /// Fills `out` with the draws of [`Stream::fill_normal_f32`], scaled in double precision. So networks in both
    /// precisions start from the same weights and get the same noise.
    pub fn fill_normal_f64(&mut self, out: &mut [f64], std: f64) {
        self.normals(out, |normal| f64::from(normal) * std);
    }

    fn normals<T>(&mut self, out: &mut [T], scaled: impl Fn(f32) -> T) {
        // Start at the first block with no word drawn.
        let first = self.bits.get_word_pos().div_ceil(chacha::WORDS as u128);
        let mut bits = chacha::ChaCha8::at(self.key, first as u64);
        let mut normals = [0.0; normal::BLOCK];
        for block in out.chunks_mut(normal::BLOCK) {
            normal::block(&mut bits, &mut normals);
            for (out, &normal) in block.iter_mut().zip(&normals) {
                *out = scaled(normal);
            }
        }
        self.bits.set_word_pos(u128::from(bits.next_block()) * chacha::WORDS as u128);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(purpose: Purpose, count: usize) -> Vec<f32> {
        let mut out = vec![0.0; count];
        Stream::new(1, 0, purpose, 0).fill_normal_f32(&mut out, 1.0);
        out
    }

    /// The first words of a stream.
    fn start(seed: u64, fold: u32, purpose: Purpose, step: u64) -> [u32; 4] {
        let mut stream = Stream::new(seed, fold, purpose, step);
        std::array::from_fn(|_| stream.bits())
    }

    #[test]
    fn every_argument_of_a_stream_changes_its_numbers() {
        use Purpose::{Decoder, Digits, Feedback, Noise, Order, PixelNoise, SignFlips, Split, Weights};
        let mut starts: Vec<[u32; 4]> = [
            Split,
            Order,
            Digits,
            PixelNoise,
            SignFlips,
            Weights(1),
            Weights(2),
            Feedback(1),
            Feedback(2),
            Decoder(1),
            Decoder(2),
            Noise(1),
            Noise(2),
        ]
        .map(|purpose| start(1, 0, purpose, 0))
        .to_vec();
        starts.extend([start(2, 0, Split, 0), start(1, 1, Split, 0), start(1, 0, Split, 1), start(0, 0, Split, 1)]);
        let count = starts.len();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), count);
    }

    #[test]
    fn the_numbers_are_the_same_on_every_machine() {
        let mut hasher = blake3::Hasher::new();
        for normal in normals(Purpose::Noise(3), 100_000) {
            hasher.update(&normal.to_bits().to_le_bytes());
        }
        for place in Stream::new(7, 2, Purpose::Order, 5).permutation(1_000) {
            hasher.update(&place.to_le_bytes());
        }
        assert_eq!(&hasher.finalize().to_hex()[..16], "63ac1a96e449164b");
    }

    #[test]
    fn a_shorter_slice_is_a_prefix_and_double_precision_has_the_same_draws() {
        let long = normals(Purpose::Weights(1), 3_000);
        assert_eq!(normals(Purpose::Weights(1), 1_500), long[..1_500]);
        let mut double = vec![0.0; 3_000];
        Stream::new(1, 0, Purpose::Weights(1), 0).fill_normal_f64(&mut double, 0.5);
        assert!(double.iter().zip(&long).all(|(double, single)| *double == 0.5 * f64::from(*single)));
    }

    #[test]
    fn no_bits_of_a_stream_are_used_twice() {
        let new = || Stream::new(1, 0, Purpose::Digits, 0);
        let normals = |stream: &mut Stream, count: usize| {
            let mut out = vec![0.0; count];
            stream.fill_normal_f32(&mut out, 1.0);
            out
        };
        let whole = normals(&mut new(), 3 * normal::BLOCK);
        let mut stream = new();
        assert_eq!(normals(&mut stream, 2 * normal::BLOCK), whole[..2 * normal::BLOCK]);
        assert_eq!(
            normals(&mut stream, normal::BLOCK),
            whole[2 * normal::BLOCK..],
            "a call continues after the previous one"
        );
        let mut words = new();
        // A pair of normal numbers takes two words.
        let drawn: Vec<u32> = (0..4 * normal::BLOCK).map(|_| words.bits()).collect();
        assert_eq!((0..9).map(|_| stream.bits()).collect::<Vec<_>>(), drawn[3 * normal::BLOCK..][..9]);
        let mut shifted = new();
        shifted.bits();
        let after = normals(&mut shifted, normal::BLOCK);
        assert_ne!(after, whole[..normal::BLOCK], "a word is not used again for a normal number");
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        let mut order = Stream::new(1, 0, Purpose::Order, 0).permutation(1_000);
        assert_ne!(order, (0..1_000).collect::<Vec<u32>>());
        order.sort_unstable();
        assert_eq!(order, (0..1_000).collect::<Vec<u32>>());
        assert_eq!(Stream::new(1, 0, Purpose::Order, 0).permutation(0), Vec::<u32>::new());
    }

    #[test]
    fn all_orders_are_equally_likely() {
        let mut stream = Stream::new(1, 0, Purpose::Order, 0);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            *counts.entry(stream.permutation(4)).or_insert(0_u32) += 1;
        }
        // Five standard deviations of a count with mean 1,000.
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| count.abs_diff(1_000) < 155), "{counts:?}");
    }
}
