//! The note of a sweep: a text in which users say why they ran it and what they saw.

use crate::vocabulary::text::is_of_text;

/// Maximum number of characters of a note.
pub const NOTE_CHARACTERS_MAX: usize = 10_000;

/// Why a text is not a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNote {
    /// The text is too long.
    #[error("the note has {characters} characters; shorten it to at most {NOTE_CHARACTERS_MAX}")]
    TooLong {
        /// Number of its characters.
        characters: usize,
    },
    /// The text has a character that a terminal may interpret.
    #[error(
        "the note has the control character U+{:04X}; remove it: a note has no control characters except line breaks \
         (U+000A) and tabs",
        u32::from(*character)
    )]
    ControlCharacter {
        /// The first such character.
        character: char,
    },
}

/// The note with this text, without white space at its end; `None` if nothing is left.
///
/// # Errors
/// A text that is too long, or has control characters other than line breaks and tabs. Characters that set the direction of writing
/// count as control characters.
pub fn note(text: &str) -> Result<Option<String>, InvalidNote> {
    let text = text.trim_end();
    let characters = text.chars().count();
    if characters > NOTE_CHARACTERS_MAX {
        return Err(InvalidNote::TooLong { characters });
    }
    if let Some(character) = text.chars().find(|&character| !is_of_text(character)) {
        return Err(InvalidNote::ControlCharacter { character });
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_may_have_lines_and_tabs_and_is_not_empty() {
        assert_eq!(note("שלום\n\tno gain \n\n"), Ok(Some("שלום\n\tno gain".to_owned())));
        assert_eq!((note(""), note(" \n")), (Ok(None), Ok(None)));
    }

    #[test]
    fn a_note_is_limited_in_characters_and_not_in_bytes() {
        let longest = "漢".repeat(NOTE_CHARACTERS_MAX);
        assert_eq!(note(&longest), Ok(Some(longest.clone())));
        let error = note(&format!("{longest}漢")).expect_err("too long").to_string();
        assert_eq!(error, "the note has 10001 characters; shorten it to at most 10000");
    }

    #[test]
    fn control_characters_are_refused_by_name() {
        for (text, name) in [
            ("a\u{1b}[2J", "U+001B"),
            ("a\0b", "U+0000"),
            ("a\r\nb", "U+000D"),
            ("\u{9b}31m", "U+009B"),
            ("\u{202e}b", "U+202E"),
        ] {
            let error = note(text).expect_err("a control character").to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
