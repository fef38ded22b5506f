//! The NumPy format: the magic bytes, a version, the length of the header, the header as a Python dictionary, the
//! entries.

use super::array::{Array, Entries};
use super::error::{CustomFileError, HeaderFault};
use crate::file::DataFile;

const MARK: &[u8] = b"\x93NUMPY";

/// The header of an array.
#[derive(Debug, PartialEq)]
struct Header {
    /// The type of the entries, such as `<f4`.
    descr: String,
    /// The dimensions, outermost first.
    shape: Vec<usize>,
    /// Whether the first dimension varies fastest.
    is_fortran: bool,
    /// Bytes before the first entry.
    length: usize,
}

/// Reads an array.
///
/// # Errors
/// Another format, a type other than whole numbers, f4 and f8, or a length that differs from the header.
pub(super) fn read(file: DataFile) -> Result<Array, CustomFileError> {
    let DataFile { path, bytes, .. } = file;
    let header = match header(&bytes) {
        Ok(header) => header,
        Err(fault) => return Err(CustomFileError::NotNpy { path, fault }),
    };
    if header.is_fortran {
        return Err(CustomFileError::FortranOrder { path });
    }
    let Some((big, kind, size)) = kind(&header.descr) else {
        return Err(CustomFileError::Type { path, descr: header.descr });
    };
    let count = header.shape.iter().try_fold(size as u64, |product, &count| product.checked_mul(count as u64));
    let expected = count.and_then(|count| count.checked_add(header.length as u64)).unwrap_or(u64::MAX);
    let found = bytes.len() as u64;
    let data = &bytes[header.length..];
    let entries = match (kind, size) {
        ('u', 1) => Entries::Bytes(bytes, header.length),
        ('f', 4) => Entries::Reals(each(data, big, f32::from_le_bytes)),
        ('f', 8) => Entries::Reals(each(data, big, |bytes| f64::from_le_bytes(bytes) as f32)),
        ('i', 1) => Entries::Integers(each(data, big, |bytes| i8::from_le_bytes(bytes).into())),
        ('i', 2) => Entries::Integers(each(data, big, |bytes| i16::from_le_bytes(bytes).into())),
        ('i', 4) => Entries::Integers(each(data, big, |bytes| i32::from_le_bytes(bytes).into())),
        ('i', 8) => Entries::Integers(each(data, big, i64::from_le_bytes)),
        ('u', 2) => Entries::Integers(each(data, big, |bytes| u16::from_le_bytes(bytes).into())),
        ('u', 4) => Entries::Integers(each(data, big, |bytes| u32::from_le_bytes(bytes).into())),
        // A number above `i64::MAX` is out of the range of labels too.
        ('u', 8) => {
            Entries::Integers(each(data, big, |bytes| i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX)))
        }
        _ => return Err(CustomFileError::Type { path, descr: header.descr }),
    };
    if expected != found {
        return Err(CustomFileError::Length { path, expected, found });
    }
    Ok(Array { path, shape: header.shape, entries })
}

/// The entries of `N` bytes each, in big-endian order if `big`.
fn each<const N: usize, T>(data: &[u8], big: bool, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let entry = |&(mut bytes): &[u8; N]| {
        if big {
            bytes.reverse();
        }
        read(bytes)
    };
    data.as_chunks::<N>().0.iter().map(entry).collect()
}

/// Whether the entries are big-endian, their kind, and how many bytes each has.
fn kind(descr: &str) -> Option<(bool, char, usize)> {
    let mut characters = descr.chars();
    let big = match characters.next()? {
        '<' | '|' | '=' => false,
        '>' => true,
        _ => return None,
    };
    Some((big, characters.next()?, characters.as_str().parse().ok()?))
}

fn header(bytes: &[u8]) -> Result<Header, HeaderFault> {
    let rest = bytes.strip_prefix(MARK).ok_or(HeaderFault::Mark)?;
    let (&[version, _], rest) = rest.split_first_chunk().ok_or(HeaderFault::Unreadable)?;
    let (text_length, text) = match version {
        1 => {
            let (&length, text) = rest.split_first_chunk().ok_or(HeaderFault::Unreadable)?;
            (u16::from_le_bytes(length).into(), text)
        }
        2 | 3 => {
            let (&length, text) = rest.split_first_chunk().ok_or(HeaderFault::Unreadable)?;
            (u32::from_le_bytes(length) as usize, text)
        }
        _ => return Err(HeaderFault::Version),
    };
    let length = bytes.len() - text.len() + text_length;
    let text = text.get(..text_length).ok_or(HeaderFault::Unreadable)?;
    let text = std::str::from_utf8(text).map_err(|_| HeaderFault::Unreadable)?;
    let descr = value(text, "descr").and_then(quoted).ok_or(HeaderFault::Unreadable)?.to_owned();
    let is_fortran = match value(text, "fortran_order").ok_or(HeaderFault::Unreadable)? {
        order if order.starts_with("False") => false,
        order if order.starts_with("True") => true,
        _ => return Err(HeaderFault::Unreadable),
    };
    let shape = value(text, "shape").and_then(|text| text.strip_prefix('(')?.split_once(')'));
    let (shape, _) = shape.ok_or(HeaderFault::Unreadable)?;
    let counts = shape.split(',').map(str::trim).filter(|count| !count.is_empty());
    // Python 2 writes an L after long numbers.
    let counts: Option<Vec<u32>> = counts.map(|count| count.trim_end_matches('L').parse().ok()).collect();
    let shape: Vec<usize> = counts.ok_or(HeaderFault::Shape)?.into_iter().map(|count| count as usize).collect();
    if shape.is_empty() {
        return Err(HeaderFault::Shape);
    }
    // With one dimension, or one entry in all dimensions but one, both orders are the same.
    let is_fortran = is_fortran && shape.iter().filter(|&&count| count != 1).count() > 1;
    Ok(Header { descr, shape, is_fortran, length })
}

/// The text after a key of the dictionary.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let after = ['\'', '"'].iter().find_map(|quote| text.split_once(&format!("{quote}{key}{quote}")))?.1;
    // Python 2 writes a u before strings.
    Some(after.trim_start().strip_prefix(':')?.trim_start().trim_start_matches('u'))
}

/// The quoted string at the start of `text`.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file in the form that NumPy writes.
    pub(crate) fn file(descr: &str, shape: &str, entries: &[u8]) -> Vec<u8> {
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + text.len() + 1) % 64 != 0 {
            text.push(' ');
        }
        text.push('\n');
        let length = u16::try_from(text.len()).expect("a short header");
        [MARK, &[1, 0], &length.to_le_bytes(), text.as_bytes(), entries].concat()
    }

    #[test]
    fn a_header_written_by_numpy_is_read() {
        let bytes = file("<f4", "(3, 28, 28)", &[]);
        let read = Header { descr: "<f4".to_owned(), shape: vec![3, 28, 28], is_fortran: false, length: 128 };
        assert_eq!(header(&bytes), Ok(read));
        assert_eq!(header(&file("|u1", "(5,)", &[])).map(|header| header.shape), Ok(vec![5]));
    }

    #[test]
    fn a_header_written_by_python_2_is_read() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 28L, 28L), }\n";
        let unicode = "{u'descr': u'<f4', u'fortran_order': False, u'shape': (3L, 28L, 28L), }\n";
        for text in [text, unicode] {
            let length = u16::try_from(text.len()).expect("a short header").to_le_bytes();
            let bytes = [MARK, &[1, 0], &length, text.as_bytes()].concat();
            let header = header(&bytes).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!((header.descr.as_str(), header.shape), ("<f4", vec![3, 28, 28]));
        }
    }

    #[test]
    fn fortran_order_is_reported_only_where_it_changes_the_order_of_entries() {
        let is_fortran = |shape: &str| {
            let bytes = file("<f4", shape, &[]);
            let text = String::from_utf8_lossy(&bytes[10..]).replace("False", "True ");
            header(&[&bytes[..10], text.as_bytes()].concat()).map(|header| header.is_fortran)
        };
        assert_eq!(is_fortran("(3, 2)"), Ok(true));
        assert_eq!((is_fortran("(3,)"), is_fortran("(3, 1)")), (Ok(false), Ok(false)));
    }

    #[test]
    fn an_array_of_another_type_is_refused_by_type_whatever_its_length() {
        let folder = tempfile::tempdir().expect("a folder");
        for (descr, entries, told) in [
            ("<U1", 12, "holds text (type <U1); save labels as whole numbers: `labels.astype('int64')`"),
            ("|O", 20, "holds Python objects (type |O); save "),
            ("|b1", 3, "holds booleans (type |b1); save `array.astype('uint8')`"),
            ("<f2", 6, "holds half-precision numbers (type <f2); save `images.astype('float32')`"),
            ("<c8", 24, "holds numbers of type <c8; images are"),
        ] {
            let path = folder.path().join("labels.npy");
            std::fs::write(&path, file(descr, "(3,)", &vec![0; entries])).expect("written");
            let read = read(DataFile::open(path).expect("a file"));
            let message = read.err().map(|error| error.to_string()).expect("refused");
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn an_invalid_header_is_refused_with_its_fault() {
        let mut version = file("<f4", "(3, 2)", &[]);
        version[6] = 9;
        for (bytes, fault) in [
            (b"PK\x03\x04".to_vec(), HeaderFault::Mark),
            (b"\x93NUMPY\x01".to_vec(), HeaderFault::Unreadable),
            (version, HeaderFault::Version),
            (file("<f4", "(3, 2)", &[])[..40].to_vec(), HeaderFault::Unreadable),
            (file("<f4", "()", &[]), HeaderFault::Shape),
            (file("<f4", "(99999999999, 2)", &[]), HeaderFault::Shape),
        ] {
            assert_eq!(header(&bytes), Err(fault));
        }
    }
}
