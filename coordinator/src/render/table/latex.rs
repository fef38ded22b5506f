//! Texts in LaTeX, as pdflatex takes them without a package and in any font encoding.

use std::fmt::Write as _;

/// The lower-case Greek letters from alpha on. Omicron has no command, because it looks like an o.
const LOWER: [&str; 25] = [
    "\\alpha",
    "\\beta",
    "\\gamma",
    "\\delta",
    "\\epsilon",
    "\\zeta",
    "\\eta",
    "\\theta",
    "\\iota",
    "\\kappa",
    "\\lambda",
    "\\mu",
    "\\nu",
    "\\xi",
    "o",
    "\\pi",
    "\\rho",
    "\\varsigma",
    "\\sigma",
    "\\tau",
    "\\upsilon",
    "\\phi",
    "\\chi",
    "\\psi",
    "\\omega",
];
/// The upper-case Greek letters from Alpha on. Those without a command look like Latin letters; Unicode has no letter at
/// the place of the final sigma.
const UPPER: [&str; 25] = [
    "\\mathrm{A}",
    "\\mathrm{B}",
    "\\Gamma",
    "\\Delta",
    "\\mathrm{E}",
    "\\mathrm{Z}",
    "\\mathrm{H}",
    "\\Theta",
    "\\mathrm{I}",
    "\\mathrm{K}",
    "\\Lambda",
    "\\mathrm{M}",
    "\\mathrm{N}",
    "\\Xi",
    "\\mathrm{O}",
    "\\Pi",
    "\\mathrm{P}",
    "",
    "\\Sigma",
    "\\mathrm{T}",
    "\\Upsilon",
    "\\Phi",
    "\\mathrm{X}",
    "\\Psi",
    "\\Omega",
];

/// A text in LaTeX: its special characters are escaped. A character that pdflatex cannot print becomes its number, such
/// as `U+05E9`, because one such character would stop the compilation.
pub(super) fn latex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (place, character) in text.chars().enumerate() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', character]),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '|' => escaped.push_str("\\textbar{}"),
            // After the end of a row, [ begins an option of \\, and * changes it.
            '[' => escaped.push_str("{[}"),
            '*' if place == 0 => escaped.push_str("{*}"),
            ' '..='\u{7e}' => escaped.push_str(sign(character).unwrap_or(character.encode_utf8(&mut [0; 4]))),
            // Eth, thorn and their like are in one font encoding only.
            'À'..='ÿ' if !"ÐÞðþ×÷".contains(character) => escaped.push(character),
            _ => match (sign(character), greek(character)) {
                (Some(command), _) => escaped.push_str(command),
                (None, Some(command)) => escaped.extend(["$", command, "$"]),
                (None, None) => write!(escaped, "U+{:04X}", u32::from(character)).expect("memory"),
            },
        }
    }
    escaped
}

/// The command of a sign.
fn sign(character: char) -> Option<&'static str> {
    Some(match character {
        '<' => "$<$",
        '>' => "$>$",
        '"' => "''",
        '\u{a0}' | '\u{202f}' | '\u{2009}' => "~",
        '±' => "$\\pm$",
        '−' => "$-$",
        '×' => "$\\times$",
        '÷' => "$\\div$",
        '·' => "$\\cdot$",
        '≤' => "$\\leq$",
        '≥' => "$\\geq$",
        '≠' => "$\\neq$",
        '≈' => "$\\approx$",
        '→' => "$\\rightarrow$",
        '∞' => "$\\infty$",
        '°' => "$^\\circ$",
        '²' => "$^2$",
        '³' => "$^3$",
        '½' => "$\\frac{1}{2}$",
        'µ' => "$\\mu$",
        '–' => "--",
        '—' => "---",
        '…' => "\\ldots{}",
        '‘' => "`",
        '’' => "'",
        '“' => "``",
        '”' => "''",
        _ => return None,
    })
}

/// The command of a Greek letter, for mathematics.
fn greek(character: char) -> Option<&'static str> {
    let in_alphabet = |alphabet: &[&'static str; 25], first: char| {
        let place = u32::from(character).checked_sub(u32::from(first))?;
        alphabet.get(usize::try_from(place).ok()?).copied().filter(|command| !command.is_empty())
    };
    in_alphabet(&LOWER, 'α').or_else(|| in_alphabet(&UPPER, 'Α'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_character_is_escaped() {
        assert_eq!(
            latex("\\^~{}$#<>|&%_"),
            "\\textbackslash{}\\textasciicircum{}\\textasciitilde{}\\{\\}\\$\\#$<$$>$\\textbar{}\\&\\%\\_"
        );
        assert_eq!(latex("97.7 ± 0.2, −1 – 2"), "97.7 $\\pm$ 0.2, $-$1 -- 2");
    }

    #[test]
    fn a_text_does_not_change_the_end_of_the_row_before_it() {
        assert_eq!(latex("[1, 3]"), "{[}1, 3]");
        assert_eq!(latex("*a*"), "{*}a*");
    }

    #[test]
    fn greek_letters_are_commands_and_letters_with_accents_stay() {
        assert_eq!(latex("αβω ς"), "$\\alpha$$\\beta$$\\omega$ $\\varsigma$");
        assert_eq!(latex("ΑΔΩ"), "$\\mathrm{A}$$\\Delta$$\\Omega$");
        assert_eq!(latex("Größe, élan, Åse"), "Größe, élan, Åse");
    }

    #[test]
    fn a_character_that_pdflatex_lacks_is_its_number() {
        assert_eq!(latex("aשþ\t漢"), "aU+05E9U+00FEU+0009U+6F22");
        assert_eq!(latex("\u{3a2}"), "U+03A2", "no letter is there");
    }
}
