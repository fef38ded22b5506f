//! Characters that would change what a terminal shows around them: control characters and those of text direction.

use std::borrow::Cow;

use biosweep_common::vocabulary::text::is_of_text;

/// The text with these characters as codes, such as `\u{202e}`. Line feeds and tabs stay.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    replaced(text, |character| !is_of_text(character) || is_of_direction(character))
}

/// The same for a text with colours: escape sequences stay.
pub(crate) fn escaped_in_colour(text: &str) -> Cow<'_, str> {
    replaced(text, is_of_direction)
}

/// The characters of Unicode that order the text after them from right to left or from left to right, or separate lines.
const fn is_of_direction(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn replaced(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match is_harmful(character) {
            true => safe.extend(character.escape_unicode()),
            false => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_become_codes() {
        assert_eq!(escaped("one\u{2028}line"), "one\\u{2028}line");
        assert_eq!(escaped("a\u{202e}b\u{1b}[31m\u{7f}\u{2066}"), "a\\u{202e}b\\u{1b}[31m\\u{7f}\\u{2066}");
        assert_eq!(escaped_in_colour("\u{1b}[31mred\u{202e}"), "\u{1b}[31mred\\u{202e}");
    }

    #[test]
    fn other_texts_stay() {
        for text in ["a\tb\n", "שלום", "👩‍🔬 ± é", "漢字"] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
