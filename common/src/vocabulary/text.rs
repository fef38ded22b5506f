//! Characters that change how the text around them is shown. Names and notes do not have them.

/// Whether a character is a control character, orders the text around it from right to left or from left to right, or separates
/// lines. A name with such characters could look like another name, or like several lines.
#[must_use]
pub fn is_disruptive(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character may be in a text of several lines.
#[must_use]
pub fn is_of_text(character: char) -> bool {
    !is_disruptive(character) || matches!(character, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_disguise_a_text_are_disruptive_and_those_of_writing_are_not() {
        for character in "\u{202a}\u{202e}\u{2066}\u{2069}\u{2028}\u{2029}\u{1b}\u{9b}\u{7f}\r".chars() {
            assert!(is_disruptive(character) && !is_of_text(character), "{character:?}");
        }
        for character in "a漢שé \u{200d}\u{200f}😀".chars() {
            assert!(!is_disruptive(character) && is_of_text(character), "{character:?}");
        }
        assert!(is_disruptive('\n') && is_of_text('\n') && is_of_text('\t'));
    }
}
