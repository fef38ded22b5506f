//! The progress in the tab or the taskbar of terminals that show it: the sequence OSC 9;4 of ConEmu.

/// What a tab shows of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taskbar {
    /// Nothing.
    Clear,
    /// Percent of the trials that have ended.
    Normal(u64),
    /// The same for a sweep with failed trials.
    Error(u64),
    /// The same for a paused sweep.
    Paused(u64),
}

impl Taskbar {
    /// The sequence that asks a terminal to show this.
    pub(super) fn sequence(self) -> String {
        let (state, percent) = match self {
            Self::Clear => (0, 0),
            Self::Normal(percent) => (1, percent),
            Self::Error(percent) => (2, percent),
            Self::Paused(percent) => (4, percent),
        };
        format!("\u{1b}]9;4;{state};{percent}\u{1b}\\")
    }
}

/// Whether the terminal shows progress, from its environment variables. Others show the sequence as a notification.
pub(super) fn is_shown_with(variable: impl Fn(&str) -> Option<String>) -> bool {
    let program = variable("TERM_PROGRAM").unwrap_or_default();
    let has = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is_iterm =
        || program == "iTerm.app" && variable("TERM_FEATURES").is_some_and(|features| has_progress(&features));
    let is_vte = || variable("VTE_VERSION").and_then(|version| version.parse().ok()).is_some_and(|it: u32| it >= 8_000);
    // tmux and screen set TERM themselves, and do not pass the sequence on.
    let is_inside_another = ["tmux", "screen"].iter().any(|it| variable("TERM").unwrap_or_default().starts_with(it));
    let is_windows = || has("WT_SESSION") || variable("ConEmuANSI").as_deref() == Some("ON");
    !is_inside_another && (is_windows() || ["WezTerm", "ghostty"].contains(&program.as_str()) || is_iterm() || is_vte())
}

/// Whether the features of iTerm2, such as `T3LrMSc7P`, have the one of progress. Each starts with a capital letter.
fn has_progress(features: &str) -> bool {
    let after = features.split('P').skip(1);
    after.into_iter().any(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_the_sequence_of_conemu() {
        assert_eq!(Taskbar::Normal(42).sequence(), "\x1b]9;4;1;42\x1b\\");
        assert_eq!(Taskbar::Error(100).sequence(), "\x1b]9;4;2;100\x1b\\");
        assert_eq!(Taskbar::Paused(7).sequence(), "\x1b]9;4;4;7\x1b\\");
        assert_eq!(Taskbar::Clear.sequence(), "\x1b]9;4;0;0\x1b\\");
    }

    #[test]
    fn only_terminals_that_show_progress_receive_it() {
        let is_shown = |variables: &[(&str, &str)]| {
            is_shown_with(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(is_shown(&[("WT_SESSION", "1")]) && is_shown(&[("ConEmuANSI", "ON")]));
        assert!(is_shown(&[("TERM_PROGRAM", "ghostty")]) && is_shown(&[("VTE_VERSION", "8002")]));
        assert!(is_shown(&[("TERM_PROGRAM", "iTerm.app"), ("TERM_FEATURES", "T3LrMSc7UP")]));
        assert!(!is_shown(&[]) && !is_shown(&[("VTE_VERSION", "7600")]) && !is_shown(&[("ConEmuANSI", "OFF")]));
        assert!(
            !is_shown(&[("TERM_PROGRAM", "iTerm.app"), ("TERM_FEATURES", "T3LrPaSc7")]),
            "it would be a notification"
        );
        assert!(!is_shown(&[("WT_SESSION", "1"), ("TERM", "tmux-256color")]));
    }
}
