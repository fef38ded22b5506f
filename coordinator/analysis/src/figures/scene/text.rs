//! Text that fits: cleaned, broken into lines, shortened.

use super::font::Weight;

/// What replaces a character that has no picture.
const REPLACEMENT: char = '□';
const ELLIPSIS: char = '…';
/// A space at which lines are not broken.
const UNBROKEN: char = '\u{a0}';

/// The text without characters that break XML or the direction of the text around them: white space becomes a space, any
/// other such character an empty box.
pub(crate) fn clean(text: &str) -> String {
    let clean = |character: char| match character {
        UNBROKEN => UNBROKEN,
        _ if character.is_whitespace() => ' ',
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => REPLACEMENT,
        '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' => REPLACEMENT,
        _ if character.is_control() => REPLACEMENT,
        _ => character,
    };
    text.chars().map(clean).collect()
}

/// The text in lines of at most `width`, in the unit of `size`. If it needs more than `lines_max` lines, the last one ends
/// with an ellipsis.
pub(crate) fn wrapped(text: &str, weight: Weight, size: f64, width: f64, lines_max: usize) -> Vec<String> {
    let text = clean(text);
    let fits = |text: &str| weight.face().width(text.trim_end(), size) <= width;
    let mut lines = vec![String::new()];
    for word in text.split_inclusive([' ', '-', '_', '/', ',']) {
        let line = lines.last_mut().expect("at least one line");
        if fits(&format!("{line}{word}")) {
            line.push_str(word);
        } else if fits(word) {
            lines.push(word.to_owned());
        } else {
            // No line holds the word, so it is broken within.
            for character in word.chars() {
                let line = lines.last_mut().expect("at least one line");
                if line.is_empty() || fits(&format!("{line}{character}")) {
                    line.push(character);
                } else {
                    lines.push(character.to_string());
                }
            }
        }
    }
    if lines.len() > lines_max {
        let rest = lines.split_off(lines_max.saturating_sub(1)).concat();
        lines.push(shortened(&rest, weight, size, width));
    }
    lines.into_iter().map(|line| line.trim().replace(UNBROKEN, " ")).collect()
}

/// The text, cut to `width` with an ellipsis at its end if it is longer.
fn shortened(text: &str, weight: Weight, size: f64, width: f64) -> String {
    if weight.face().width(text, size) <= width {
        return text.to_owned();
    }
    let mut cut = text.to_owned();
    while cut.pop().is_some() {
        let shortened = format!("{}{ELLIPSIS}", cut.trim_end());
        if weight.face().width(&shortened, size) <= width {
            return shortened;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, width: f64, lines_max: usize) -> Vec<String> {
        wrapped(text, Weight::Regular, 8.0, width, lines_max)
    }

    #[test]
    fn control_and_direction_characters_are_replaced() {
        assert_eq!(clean("a\u{0}b\tc\u{202e}d\u{7f}\u{ffff}"), "a□b c□d□□");
        assert_eq!(clean("שלום ± é"), "שלום ± é");
    }

    #[test]
    fn lines_are_broken_at_words_and_long_words_within() {
        assert_eq!(lines("short", 100.0, 3), ["short"]);
        assert_eq!(lines("two words", 30.0, 3), ["two", "words"]);
        assert_eq!(lines("not two\u{a0}words", 44.0, 3), ["not", "two words"]);
        assert_eq!(lines("", 30.0, 3), [""]);
        let broken = lines(&"W".repeat(40), 100.0, 9);
        assert_eq!(broken.concat(), "W".repeat(40));
        assert!(broken.iter().all(|line| Weight::Regular.face().width(line, 8.0) <= 100.0) && broken.len() > 2);
    }

    #[test]
    fn text_of_too_many_lines_ends_with_an_ellipsis() {
        let lines = lines(&"many words ".repeat(40), 100.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…') && Weight::Regular.face().width(&lines[1], 8.0) <= 100.0, "{lines:?}");
    }
}
