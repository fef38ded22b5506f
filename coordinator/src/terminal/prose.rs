//! Text that fits the terminal: wrapped sentences, cut names.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A text whose lines are broken between words, so that each has at most `width` columns. A longer word, such as a path, is
/// kept whole on a line of its own; so is a command in backticks. An indented line, such as a command, is not broken.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with(' ') || line.width() <= width {
            lines.push(line.to_owned());
            continue;
        }
        let mut current = String::new();
        for word in words(line) {
            if !current.is_empty() && current.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    lines.join("\n")
}

/// The words of a line. Spaces in backticks are part of a word.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let words = line.split(move |character| {
        is_quoted ^= character == '`';
        character == ' ' && !is_quoted
    });
    words.filter(|word| !word.is_empty())
}

/// A text cut to a maximum number of columns; its last character is then `…`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub('…'.width().unwrap_or(1));
    let fits = |character: &char| {
        let rest = left.checked_sub(character.width().unwrap_or(0));
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    let kept: String = text.chars().take_while(fits).collect();
    if width == 0 { String::new() } else { format!("{}…", kept.trim_end()) }
}

/// A text cut to a maximum number of columns, with `…` in its middle: names often differ at their ends.
pub(crate) fn cut_inside(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let start = cut(text, width.div_ceil(2) + 1);
    let mut left = width.saturating_sub(start.width());
    let end = text.char_indices().rev().take_while(|(_, character)| {
        let rest = left.checked_sub(character.width().unwrap_or(0));
        left = rest.unwrap_or(left);
        rest.is_some()
    });
    let end = end.last().map_or("", |(at, _)| &text[at..]);
    cut(&format!("{start}{}", end.trim_start()), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_between_words() {
        assert_eq!(wrapped("dense connections help dtp", 12), "dense\nconnections\nhelp dtp");
        assert_eq!(wrapped("a  b\nfirst second", 8), "a  b\nfirst\nsecond", "a line that fits is kept");
    }

    #[test]
    fn a_word_that_is_too_long_is_kept_whole() {
        assert_eq!(wrapped("see /a/very/long/path now", 8), "see\n/a/very/long/path\nnow");
        assert_eq!(wrapped("", 8), "");
    }

    #[test]
    fn a_command_is_never_broken() {
        assert_eq!(
            wrapped("it is continued by:\n  biosweep run small", 12),
            "it is\ncontinued\nby:\n  biosweep run small"
        );
        assert_eq!(wrapped("retry with `biosweep retry it`; or not", 12), "retry with\n`biosweep retry it`;\nor not");
    }

    #[test]
    fn a_cut_text_has_at_most_the_width_in_columns() {
        assert_eq!(cut("learning", 5), "lear…");
        assert_eq!(cut("学习率", 5), "学习…", "these characters have two columns");
        assert_eq!(cut_inside("dtp dn relu 5 · learning_rate 0.05 · seed 280", 22), "dtp dn relu…· seed 280");
        assert!((0..50).all(|width| cut_inside("dtp dn relu 5 · 学习率 0.05 · seed 280", width).width() <= width));
        assert_eq!((cut("fa", 2), cut("fa", 0)), ("fa".to_owned(), String::new()));
    }
}
