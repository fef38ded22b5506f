//! Reads gzip files like gzip(1): any number of members, with zeros between and after them.

use std::io::{BufRead, Read, Result};

use flate2::bufread::GzDecoder;

/// The first bytes of every gzip file.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The uncompressed bytes of all members of a gzip file. Zeros between and after members are skipped, because files
/// copied from tapes or block devices are padded with them.
#[derive(Debug)]
pub struct Decoder<R> {
    /// The current member; `None` after the last.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Decoder<R> {
    /// A decoder of `compressed`, which is at the start of the file.
    #[must_use]
    pub fn new(compressed: R) -> Self {
        Self { member: Some(GzDecoder::new(compressed)) }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let rest = self.member.take().map(GzDecoder::into_inner);
            self.member = rest.map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The member after the padding; `None` where only padding follows.
fn next_member<R: BufRead>(mut rest: R) -> Result<Option<GzDecoder<R>>> {
    loop {
        let bytes = rest.fill_buf()?;
        let (zeros, length) = (bytes.iter().take_while(|&&byte| byte == 0).count(), bytes.len());
        rest.consume(zeros);
        if length == 0 {
            return Ok(None);
        }
        if zeros < length {
            return Ok(Some(GzDecoder::new(rest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    fn read(compressed: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Decoder::new(compressed).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn several_members_with_zeros_after_them_are_read_as_one_file() {
        let (one, other, padding) = (gzipped(b"abc"), gzipped(b"de"), vec![0; 20_000]);
        for file in
            [[&one[..], &other].concat(), [&one[..], &other, &padding].concat(), [&one[..], &[0], &other].concat()]
        {
            assert_eq!(read(&file).expect("gzip"), b"abcde");
        }
    }

    #[test]
    fn a_truncated_file_or_one_with_other_bytes_after_it_is_refused() {
        let file = gzipped(b"abc");
        assert!(read(&file[..file.len() - 1]).is_err());
        assert!(read(&[&file[..], b"PK\x03\x04"].concat()).is_err());
    }
}
