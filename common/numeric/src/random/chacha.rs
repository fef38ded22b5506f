//! The bits of ChaCha with 8 rounds (Bernstein 2008), sixteen blocks at a time, one in each lane of a vector.
//!
//! The order of the words is not block after block: the first words of sixteen blocks come first, then their second
//! words, and so on. This avoids a transposition, and any order of random words is good.
//!
//! The crate `rand_chacha` gives the same words in the order of the blocks. Measured in one run on an AMD EPYC with AVX2
//! (minimum of 25 rounds of 102 million words): 0.92 ns per word here, 1.04 ns for `fill_bytes` of the crate, 1.47 ns for
//! the crate with the transposition into the order that learning curves are recorded with.

use crate::vector::wide;

/// Blocks computed at once.
const LANES: usize = 16;
/// Words per block.
pub(super) const WORDS: usize = 16;
/// Words of the blocks computed at once.
const GROUP: usize = LANES * WORDS;

type Lanes = [u32; LANES];

/// A generator of random words.
#[derive(Debug, Clone)]
pub(super) struct ChaCha8 {
    key: [u32; 8],
    /// The number of the next block.
    counter: u64,
}

impl ChaCha8 {
    /// The generator with a key of 32 bytes, from the given block on.
    pub(super) fn at(key: [u8; 32], block: u64) -> Self {
        let (words, _) = key.as_chunks::<4>();
        Self { key: std::array::from_fn(|place| u32::from_le_bytes(words[place])), counter: block }
    }

    /// The first block with no word used.
    pub(super) fn next_block(&self) -> u64 {
        self.counter
    }

    /// Fills `words` with the next words. `COUNT` is a multiple of [`GROUP`].
    pub(super) fn fill<const COUNT: usize>(&mut self, words: &mut [u32; COUNT]) {
        const { assert!(COUNT.is_multiple_of(GROUP)) };
        let (groups, _) = words.as_chunks_mut::<GROUP>();
        for group in groups {
            blocks(&self.key, self.counter, group);
            self.counter += LANES as u64;
        }
    }
}

wide! {
    fn blocks(key: &[u32; 8], counter: u64, words: &mut [u32; GROUP]) {
        const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        let counters: [u64; LANES] = std::array::from_fn(|lane| counter + lane as u64);
        let mut state: [Lanes; WORDS] = std::array::from_fn(|word| match word {
            0..4 => [CONSTANTS[word]; LANES],
            4..12 => [key[word - 4]; LANES],
            12 => counters.map(|counter| counter as u32),
            13 => counters.map(|counter| (counter >> 32) as u32),
            _ => [0; LANES],
        });
        let start = state;
        for _ in 0..4 {
            quarter(&mut state, 0, 4, 8, 12);
            quarter(&mut state, 1, 5, 9, 13);
            quarter(&mut state, 2, 6, 10, 14);
            quarter(&mut state, 3, 7, 11, 15);
            quarter(&mut state, 0, 5, 10, 15);
            quarter(&mut state, 1, 6, 11, 12);
            quarter(&mut state, 2, 7, 8, 13);
            quarter(&mut state, 3, 4, 9, 14);
        }
        let (rows, _) = words.as_chunks_mut::<LANES>();
        for ((row, state), start) in rows.iter_mut().zip(&state).zip(&start) {
            for ((word, state), start) in row.iter_mut().zip(state).zip(start) {
                *word = state.wrapping_add(*start);
            }
        }
    }
}

#[inline(always)]
fn quarter(state: &mut [Lanes; WORDS], a: usize, b: usize, c: usize, d: usize) {
    let (mut ra, mut rb, mut rc, mut rd) = (state[a], state[b], state[c], state[d]);
    for (((wa, wb), wc), wd) in ra.iter_mut().zip(&mut rb).zip(&mut rc).zip(&mut rd) {
        *wa = wa.wrapping_add(*wb);
        *wd = (*wd ^ *wa).rotate_left(16);
        *wc = wc.wrapping_add(*wd);
        *wb = (*wb ^ *wc).rotate_left(12);
        *wa = wa.wrapping_add(*wb);
        *wd = (*wd ^ *wa).rotate_left(8);
        *wc = wc.wrapping_add(*wd);
        *wb = (*wb ^ *wc).rotate_left(7);
    }
    (state[a], state[b], state[c], state[d]) = (ra, rb, rc, rd);
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn the_words_are_those_of_the_cipher_in_another_order() {
        let key = std::array::from_fn(|place| place as u8 * 7 + 1);
        let (mut words, mut known) = ([0; 4 * GROUP], ChaCha8Rng::from_seed(key));
        ChaCha8::at(key, 0).fill(&mut words);
        for group in words.chunks(GROUP) {
            for lane in 0..LANES {
                for word in 0..WORDS {
                    assert_eq!(group[word * LANES + lane], known.next_u32());
                }
            }
        }
    }
}
