//! Tables of every width.

use biosweep_analysis::samples::{cells, completed, ended, paper, sweep, with};
use biosweep_common::results::outcome::{SweepState, TrialStatus};
use biosweep_common::vocabulary::ids::SweepId;
use uuid::Uuid;

use super::*;

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn plain(cells: &[Cell], so_far: Option<&str>, width: Option<u16>) -> String {
    accuracies(cells, Divergence::Guess, so_far, width)
}

#[test]
fn rows_are_rules_and_networks_and_columns_are_activations_and_depths() {
    let text = plain(&cells(&paper(1)), None, None);
    let lines = lines(&text);
    assert_eq!(lines[0], " rule   network   relu 5   relu 10   sigmoid 3   sigmoid 7");
    assert!(lines[1].chars().all(|c| c == '─'), "{}", lines[1]);
    assert_eq!(lines[2], " bp     nn          97.7      97.6        97.1        94.2");
    assert_eq!(lines[7], " dtp    dn          97.1      95.7        96.6        96.0");
    assert_eq!(lines[9], "test accuracy in percent, one replicate each");
    assert_eq!(lines.len(), 10);
}

#[test]
fn means_have_their_interval() {
    let text = plain(&cells(&paper(3)), None, None);
    assert!(text.contains("53.8 ± 11.5"), "{text}");
    assert!(text.contains("± half of its 95 % interval, over 3 folds"), "{text}");
}

#[test]
fn a_table_too_wide_for_the_terminal_is_split() {
    for width in [43, 50, 65] {
        let text = plain(&cells(&paper(3)), None, Some(width));
        let tables = text.split("\n\n").take_while(|part| part.contains("rule"));
        let mut columns = 0;
        for table in tables {
            assert!(table.lines().all(|line| line.chars().count() <= width.into()), "{width}:\n{table}");
            let header = table.lines().next().expect("a header");
            assert!(
                !(header.contains("relu") && header.contains("sigmoid")),
                "each activation has its own tables: {header}"
            );
            columns += header.matches(|c: char| c.is_ascii_digit()).count() - header.matches("10").count();
        }
        assert_eq!(columns, 4, "{text}");
    }
    assert!(plain(&cells(&paper(3)), None, Some(5)).contains("sigmoid 7"), "no width loses a column");
}

#[test]
fn trials_that_did_not_complete_are_counted_in_their_cell() {
    let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
    let cells = cells(&[
        fold(completed("bp", "nn", 5, 0.9, 0.9), 0),
        fold(ended("bp", "nn", 5, TrialStatus::Failed), 1),
        fold(ended("fa", "nn", 6, TrialStatus::Diverged), 0),
        fold(ended("fa", "nn", 6, TrialStatus::Diverged), 1),
    ]);
    let text = plain(&cells, None, None);
    assert_eq!(lines(&text)[2], " bp     nn        90.0 (n = 1), 1 failed                                      –");
    assert_eq!(lines(&text)[3], " fa     nn                             –   10.0 ± 0.0 (n = 2), 0 of 2 completed");
    assert!(text.contains("a diverged replicate counts as a guess"), "{text}");
    assert!(accuracies(&cells, Divergence::LeftOut, None, None).contains("favour settings that diverge"));
    assert_eq!(plain(&[], None, None), "no results yet");
}

#[test]
fn each_of_several_datasets_has_its_name_above_its_table() {
    let other = with(completed("bp", "nn", 5, 0.8, 0.8), &[("dataset", Value::Name("kmnist".into()))]);
    let cells = cells(&[completed("bp", "nn", 5, 0.9, 0.9), other]);
    for text in [plain(&cells, None, None), accuracies_markdown(&cells, Divergence::Guess, None)] {
        assert!(text.find("mnist") < text.find("90.0") && text.find("kmnist") < text.find("80.0"), "{text}");
    }
    assert!(accuracies_markdown(&cells, Divergence::Guess, None).contains("**kmnist**\n\n| "));
}

#[test]
fn means_over_fewer_replicates_are_marked_and_an_unfinished_sweep_says_so() {
    let fold = |rule, fold| with(completed(rule, "nn", 5, 0.9, 0.9), &[("fold", Value::Integer(fold))]);
    let mut results: Vec<_> = (0..6).map(|index| fold("bp", index)).collect();
    results.extend((0..2).map(|index| fold("fa", index)));
    let so_far = Some("8 of 12 trials so far");
    for text in
        [plain(&cells(&results), so_far, None), accuracies_markdown(&cells(&results), Divergence::Guess, so_far)]
    {
        assert!(text.starts_with("8 of 12 trials so far\n\n"), "{text}");
        assert!(text.contains("90.0 ± 0.0 (n = 6)") && text.contains("90.0 ± 0.0 (n = 2)"), "{text}");
        assert!(text.contains("over n folds"), "{text}");
    }
    assert!(!plain(&cells(&results[..6]), None, None).contains("n = "));
}

#[test]
fn the_number_of_compared_candidates_is_shown() {
    let tried = |rate, fold| {
        let settings = [("learning_rate", Value::Real(rate)), ("fold", Value::Integer(fold))];
        with(completed("fa", "nn", 5, 0.9, 0.9), &settings)
    };
    let text = plain(&cells(&[tried(1e-3, 0), tried(1e-3, 1), tried(1e-4, 0)]), None, None);
    assert!(text.contains("1 of 2") && text.contains("are not compared"), "{text}");
}

#[test]
fn the_chosen_settings_are_shown_if_there_was_a_choice() {
    let tried =
        |rate, validation| with(completed("fa", "nn", 5, validation, 0.9), &[("learning_rate", Value::Real(rate))]);
    let text = plain(&cells(&[tried(1e-3, 0.8), tried(1e-5, 0.9), completed("bp", "nn", 5, 0.9, 0.9)]), None, None);
    assert!(text.contains("best mean validation accuracy"), "{text}");
    assert_eq!(lines(&text).last(), Some(&" fa     nn        relu             5         0.00001       2"));
}

#[test]
fn markdown_is_one_table_whatever_its_width() {
    let text = accuracies_markdown(&cells(&paper(1)), Divergence::Guess, None);
    assert_eq!(lines(&text)[0], "| rule | network | relu 5 | relu 10 | sigmoid 3 | sigmoid 7 |");
    assert!(lines(&text)[1].starts_with("|------|"), "{text}");
    assert_eq!(lines(&text)[4], "| fa   | nn      |   91.7 |    83.4 |      95.0 |      53.8 |");
}

#[test]
fn sweeps_are_listed_with_their_age() {
    let view = SweepView {
        id: SweepId(Uuid::from_u128(7)),
        name: "paper-mini".to_owned(),
        state: SweepState::Running,
        reason: None,
        trials: 24,
        trajectories: 24,
        completed: 20,
        diverged: 0,
        failed: 1,
        reused: 0,
        running: 2,
        submitted_at: WallTime(1_000_000),
        state_at: WallTime(1_000_000),
        note: None,
    };
    let text = sweeps(std::slice::from_ref(&view), WallTime(1_000_000 + 3 * 3_600_000), None);
    assert_eq!(lines(&text)[2], " 00000000-0000   paper-mini   running       20/24        1   3 h");
    let text = sweeps(&[SweepView { diverged: 4, ..view.clone() }], WallTime(0), None);
    assert!(lines(&text)[0].contains("diverged   failed") && lines(&text)[2].ends_with("now"), "{text}");

    let id = |number| SweepId(Uuid::from_u128(number));
    let long = SweepView { name: "skip-connections-and-their-kin".to_owned(), state: SweepState::Cancelled, ..view };
    let list = [SweepView { id: id(1 << 64), trials: 9_900, ..long.clone() }, SweepView { id: id(1 << 65), ..long }];
    let text = sweeps(&list, WallTime(1_000_000 + 3 * 3_600_000), Some(80));
    assert!(lines(&text).iter().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("skip-connec") && text.contains('…'), "{text}");
    assert!(!sweeps(&list, WallTime(0), None).contains('…'), "in a pipe nothing is cut");
    let ids: BTreeSet<&str> = lines(&text)[2..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(ids.len(), 2, "ids are long enough to tell them apart: {text}");

    let spoofed = SweepView { name: "a\u{202e}b".to_owned(), ..list[0].clone() };
    let text = sweeps(&[spoofed], WallTime(0), None);
    assert!(text.contains("a\\u{202e}b") && !text.contains('\u{202e}'), "{text}");

    // Each of these characters takes two columns of a terminal.
    let list = [SweepView { name: "漢".repeat(128), ..list[0].clone() }];
    let text = sweeps(&list, WallTime(1_000_000 + 3 * 3_600_000), Some(80));
    assert!(lines(&text).iter().all(|line| line.width() <= 80), "{text}");
    assert!(text.contains("漢漢漢漢漢") && text.contains('…'), "{text}");
}

#[test]
fn a_list_has_short_notes_where_there_is_room_for_them() {
    let of = |number: u128, note: &str| SweepView {
        id: SweepId(Uuid::from_u128(number << 80)),
        note: Some(note.to_owned()),
        ..sweep("a-sweep")
    };
    let list = [of(1, "no gain"), of(2, "two\nlines"), of(3, &"x".repeat(41))];
    for width in [None, Some(80)] {
        let text = sweeps(&list, WallTime(1_700_000_000_000), width);
        assert!(lines(&text)[0].contains("state      note      completed"), "{text}");
        assert!(lines(&text)[2].contains("finished   no gain         0/0"), "{text}");
        assert!(!text.contains("two") && !text.contains("xxx"), "longer notes are only in `show`: {text}");
    }
    let narrow = sweeps(&list, WallTime(1_700_000_000_000), Some(70));
    assert!(!narrow.contains("note") && !narrow.contains('…'), "names are not cut for notes: {narrow}");
    let long = sweeps(&list[1..], WallTime(1_700_000_000_000), None);
    assert!(!long.contains("note"), "no empty column: {long}");
}
