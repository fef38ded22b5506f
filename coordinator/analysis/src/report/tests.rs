//! Pages of usual and unusual sweeps.

use biosweep_common::configuration::Point;
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::results::views::{CurveView, IncompleteAttempt, IncompleteCause, ResultView, SpecView, SweepView};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::spec::{AnalysisPlan, Format, SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex, TrialIndex};
use biosweep_common::vocabulary::time::WallTime;

use super::{Contents, Record, Spec, Subject, html, illustrations};
use crate::compare::verdicts;
use crate::figures::Material;
use crate::samples::{completed, curves, ended, paper, sweep, with};

const SPEC: &str = "[data]\ndataset = \"mnist\"\n[grid]\nrule = [\"bp\", \"fa\", \"dtp\"]\nnetwork = [\"nn\", \"dn\"]\n\
                    fold = { from = 0, count = 4 }\n[[block]]\nactivation = \"relu\"\ndepth = [5, 10]\n[[block]]\n\
                    activation = \"sigmoid\"\ndepth = [3, 7]\n";

fn view(name: &str) -> Spec {
    let text = format!("name = {name:?}\n{SPEC}");
    let (_, text) = SweepSpec::parse_to_store(text, Format::Toml, "s").unwrap_or_else(|errors| panic!("{errors}"));
    Spec::of(SpecView { text, extensions: Vec::new() })
}

fn record(only: Point, results: &[ResultView]) -> Record {
    let mut record = Record::only(only);
    results.iter().for_each(|result| record.add(result).expect("known counts"));
    record
}

fn written(subject: Subject<'_>, record: &Record, curves: Option<&[CurveView]>) -> String {
    let comparison = match subject {
        Subject::Sweep { spec, .. } => verdicts(record.replicates(), &spec.analysis()),
        Subject::File { .. } => verdicts(record.replicates(), &AnalysisPlan::default()),
    };
    let material = Material { title: "a title", replicates: record.replicates(), comparison: &comparison, curves };
    let illustrations = illustrations(material);
    let now = WallTime(1_700_003_600_000);
    let page = html(&Contents {
        subject,
        record,
        comparison: &comparison,
        illustrations: &illustrations,
        now,
        version: "7.8.9",
    });
    check(&page);
    page
}

fn finished(name: &str, results: &[ResultView]) -> SweepView {
    let count = |status| results.iter().filter(|result| result.status == status).count() as u64;
    let (completed, diverged, failed) =
        (count(TrialStatus::Completed), count(TrialStatus::Diverged), count(TrialStatus::Failed));
    SweepView { trials: results.len() as u64, completed, diverged, failed, ..sweep(name) }
}

/// The page of a sweep with the spec of these tests.
fn page(name: &str, results: &[ResultView]) -> String {
    let subject = Subject::Sweep { sweep: &finished(name, results), spec: &view(name), attempts: &[], causes: &[] };
    written(subject, &record(Point::new(), results), Some(&curves(results)))
}

/// Checks what holds for every page: its tags are balanced, no id is there twice, and nothing is loaded or run.
fn check(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (before, rest) = page.split_once("<style>").expect("a style");
    let (style, after) = rest.split_once("</style>").expect("the end of the style");
    for part in [before, after] {
        assert_eq!(part.matches('<').count(), part.matches('>').count(), "a bracket is not escaped");
        for tag in part.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
            let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
            match tag {
                _ if name == "meta" || name == "!DOCTYPE" || tag.ends_with('/') => {}
                _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "</{name}> ends another element"),
                _ => open.push(name),
            }
            for attribute in ["src=", "href=", "action=", "style=", " on"] {
                assert!(!tag.contains(attribute), "<{tag}>");
            }
        }
        for element in ["<script", "<link", "<img", "<iframe", "<object", "<embed", "<base"] {
            assert!(!part.contains(element), "{element}");
        }
        let mut ids: Vec<&str> = part.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id is there twice");
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    assert!(!style.contains("@import") && style.split("url(").skip(1).all(|url| url.starts_with("data:")));
    assert_eq!(page.matches("@font-face").count(), 2, "each font is there once");
    assert!(!before.contains("NaN") && !after.contains("NaN") && after.ends_with("</html>\n"));
}

#[test]
fn a_finished_sweep_has_every_section() {
    let page = page("plain", &paper(4));
    for part in [
        "<bdi dir=\"auto\">plain</bdi>",
        "Finished: 96 trials. It ran from 2023-11-14 22:13 UTC to 2023-11-14 23:03 UTC (50 min 0 s).",
        "2023-11-14 22:13 UTC",
        "Do dense connections keep accuracy as networks get deeper under bp, fa or dtp",
        "fa, relu: n is too small to tell whether dense connections help",
        "<caption>Block 1: 48 trials for relu</caption>",
        "<bdi>depth</bdi></th><td>5, 10 <small>2 values</small></td>",
        "<strong>Training.</strong> Weights are trained by Adam",
        "<caption>mnist, relu: test accuracy in percent by number of hidden layers</caption>",
        "The settings with the best mean validation accuracy",
        "<strong>Figure 1.</strong> Test accuracy by number of hidden layers. Error bars are 95 % intervals of means over 4 \
         folds.",
        "<strong>Figure 5.</strong> Validation accuracy by updates",
        "<strong>Figure 2.</strong> Differences of arms with their 95 % intervals on these training images.",
        "No trial failed.",
        "No trial diverged.",
        "<pre>\nbiosweep run spec.toml\nbiosweep replay 00000000-0000-0000-0000-000000000007/0</pre>",
        "Digest of the spec (BLAKE3)",
        "rule = [&#34;bp&#34;, &#34;fa&#34;, &#34;dtp&#34;]",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<svg").count(), 10, "five figures, each for a page and for a narrow screen");
}

#[test]
fn a_cell_shows_its_interval_and_its_completion() {
    let mut results = paper(4);
    let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
    results.extend((0..3).map(|index| fold(completed("usf", "nn", 5, 0.9, 0.9), index)));
    results.push(fold(ended("usf", "nn", 5, TrialStatus::Diverged), 3));
    let page = page("s", &results);
    assert!(page.contains("<small>3 of 4 completed, 1 diverged</small>"), "{page}");
    assert!(page.contains("70.0 ± 63.6"), "the mean of three times 0.9 and 1/10, and t(3) · 0.4 / 2");
}

#[test]
fn a_sweep_without_results_says_so() {
    let waiting = SweepView { state: SweepState::Running, trials: 96, ..sweep("s") };
    let subject = Subject::Sweep { sweep: &waiting, spec: &view("s"), attempts: &[], causes: &[] };
    let page = written(subject, &Record::default(), Some(&[]));
    assert!(page.contains("Running: 0 of 96 trials so far") && page.contains("There are no results yet."));
    assert!(
        page.contains("96 trials in 2 blocks") && page.contains("this report has no verdict") && !page.contains("<svg")
    );
}

#[test]
fn an_unfinished_sweep_says_how_many_trials_have_ended() {
    let results: Vec<ResultView> = paper(4).into_iter().take(12).collect();
    let running =
        SweepView { state: SweepState::Paused, trials: 96, reason: Some("<b>".to_owned()), ..finished("s", &results) };
    let subject = Subject::Sweep { sweep: &running, spec: &view("s"), attempts: &[], causes: &[] };
    let page = written(subject, &record(Point::new(), &results), Some(&curves(&results)));
    assert!(page.contains("Paused: 12 of 96 trials so far") && page.contains("&#60;b&#62;"));
    let cancelled = SweepView { state: SweepState::Cancelled, ..running };
    let subject = Subject::Sweep { sweep: &cancelled, spec: &view("s"), attempts: &[], causes: &[] };
    let page = written(subject, &record(Point::new(), &results), Some(&curves(&results)));
    assert!(page.contains("Cancelled: 12 of 96 trials. It ran from 2023-11-14 22:13 UTC to "), "{page}");
}

#[test]
fn one_replicate_has_no_interval_and_the_page_says_so() {
    let page = page("s", &paper(1));
    assert!(page.contains("One replicate each, so there are no intervals.") && !page.contains(" ± "), "{page}");
    assert!(page.contains("There are no error bars, because each point is one replicate."));
}

#[test]
fn a_sweep_that_diverged_completely_has_a_page_with_the_updates() {
    let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
    let at =
        |fold_number, updates| ResultView { updates, ..fold(ended("fa", "nn", 5, TrialStatus::Diverged), fold_number) };
    let page = page("s", &[at(0, 1_170), at(1, 390)]);
    assert!(page.contains("<caption>2 trials diverged</caption>"), "{page}");
    assert!(page.contains("fa, nn, relu, depth 5</bdi></th><td>2</td><td>390 to 1,170</td><td>0</td>"), "{page}");
    assert!(page.contains("<small>0 of 2 completed, 2 diverged</small>"));
    assert!(!page.contains("biosweep replay"), "no trial has a curve to compare with");
}

#[test]
fn failures_are_grouped_by_all_causes_of_their_attempts() {
    let trial = |index: u64| ResultView { trial: TrialIndex(index), ..ended("bp", "nn", 5, TrialStatus::Failed) };
    let results: Vec<ResultView> = (0..4).map(trial).collect();
    let failed = |trajectory, cause: &str| IncompleteAttempt {
        trajectory: TrajectoryIndex(trajectory),
        attempt: Attempt(1),
        worker_name: "w".to_owned(),
        outcome: Outcome::Failed,
        cause: Some(cause.to_owned()),
        at: WallTime(0),
    };
    let of = |outcome, cause: &str, attempts, latest| IncompleteCause {
        outcome,
        cause: Some(cause.to_owned()),
        attempts,
        latest: WallTime(latest),
    };
    let attempts = [failed(1, "<i>no</i> 12 bytes\nstack"), failed(2, "<i>no</i> 7 bytes")];
    let causes = [
        of(Outcome::WorkerLost, "killed", 9_000, 0),
        of(Outcome::Failed, "other", 1_300, 86_400_000),
        of(Outcome::Failed, "<i>no</i> 12 bytes\nstack", 1_200, 0),
        of(Outcome::Failed, "<i>no</i> 7 bytes", 200, 60_000),
    ];
    let finished = finished("s", &results);
    let subject = Subject::Sweep { sweep: &finished, spec: &view("s"), attempts: &attempts, causes: &causes };
    let page = written(subject, &record(Point::new(), &results), Some(&[]));
    assert!(page.contains("<caption>4 trials failed</caption>"), "{page}");
    let first = "&#60;i&#62;no&#60;/i&#62; 12 bytes</bdi></th><td>1,400</td><td>1970-01-01 00:01 UTC</td><td>1</td>";
    let second = "other</bdi></th><td>1,300</td><td>1970-01-02 00:00 UTC</td><td>–</td>";
    let places = [first, second].map(|row| page.find(row).unwrap_or_else(|| panic!("{row} is not in {page}")));
    assert!(places[0] < places[1], "the most frequent cause is first");
    assert!(!page.contains("stack") && !page.contains("killed"));
    let part = record(Point::from([(Setting::Rule, Value::Name("bp".into()))]), &results);
    assert!(written(subject, &part, Some(&[])).contains("4 trials failed; the causes are those of the whole sweep"));
}

#[test]
fn names_are_escaped_whatever_they_contain() {
    for name in ["<script>alert(1)", "\"><img src=x onerror=alert(1)>", "a & b", "שלום עולם", &"x".repeat(128)]
    {
        let page = page(name, &paper(2));
        assert!(!page.contains("<script") && !page.contains("<img"), "{name}");
    }
    let page = page("שלום", &paper(2));
    assert!(page.contains("<bdi dir=\"auto\">שלום</bdi>"), "{page}");
    let own = "npy:/data/<script>x";
    let results =
        paper(2).into_iter().map(|one| with(one, &[("dataset", Value::Name(own.into()))])).collect::<Vec<_>>();
    assert!(self::page("s", &results).contains("&#60;script&#62;x"));
}

#[test]
fn a_note_is_under_the_title_with_its_lines() {
    let results = paper(2);
    let noted = |note: Option<&str>| {
        let sweep = SweepView { note: note.map(str::to_owned), ..finished("s", &results) };
        let subject = Subject::Sweep { sweep: &sweep, spec: &view("s"), attempts: &[], causes: &[] };
        written(subject, &record(Point::new(), &results), Some(&[]))
    };
    let page = noted(Some("why <b>\n\tit was run"));
    let part = "</h1>\n<p class=\"of-user\" dir=\"auto\">why &#60;b&#62;\n\tit was run</p>\n<p class=\"state\">";
    assert!(page.contains(part), "{page}");
    assert!(noted(None).contains("</h1>\n<p class=\"state\">"));
}

#[test]
fn settings_of_one_value_are_constants_and_not_axes() {
    let text = "name = \"s\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = [5]\n";
    let (_, text) =
        SweepSpec::parse_to_store(text.to_owned(), Format::Toml, "s").unwrap_or_else(|errors| panic!("{errors}"));
    let results = [completed("bp", "nn", 5, 0.9, 0.9)];
    let spec = Spec::of(SpecView { text, extensions: Vec::new() });
    let subject = Subject::Sweep { sweep: &finished("s", &results), spec: &spec, attempts: &[], causes: &[] };
    let page = written(subject, &record(Point::new(), &results), Some(&curves(&results)));
    assert!(
        page.contains("1 trial.") && page.contains("depth = 5") && page.contains("this report has no verdict"),
        "{page}"
    );
}

#[test]
fn a_part_of_a_sweep_is_described_by_its_results() {
    let only = Point::from([(Setting::Rule, Value::Name("fa".into()))]);
    let results = paper(4);
    let subject = Subject::Sweep { sweep: &finished("s", &results), spec: &view("s"), attempts: &[], causes: &[] };
    let page = written(subject, &record(only, &results), Some(&curves(&results)));
    assert!(page.contains("<dt>Only trials with</dt><dd><bdi>rule = fa</bdi></dd>"), "{page}");
    assert!(page.contains("32 trials with results") && !page.contains("bp is back-propagation"), "{page}");
}

#[test]
fn a_file_of_results_has_a_page_without_curves_and_spec() {
    let page = written(Subject::File { name: "rows <1>" }, &record(Point::new(), &paper(4)), None);
    assert!(page.contains("rows &#60;1&#62;") && page.contains("96 trials in a file of results"), "{page}");
    assert!(
        page.contains("The metadata of a Parquet file have the spec.") && page.contains("biosweep replay abab"),
        "{page}"
    );
    assert_eq!(page.matches("<svg").count(), 8, "four figures, none of learning curves");
    for part in [
        "96 trials with results in 2 blocks. The values are those of these trials.",
        "<caption>Block 1: 48 trials for relu</caption>",
        "<bdi>depth</bdi></th><td>3, 7 <small>2 values</small></td>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn a_file_without_some_combinations_says_so() {
    let subject = Subject::File { name: "rows" };
    let page = written(subject, &record(Point::new(), &paper(4)[1..]), None);
    assert!(page.contains("; some combinations have no result."), "{page}");
}

#[test]
fn a_spec_that_this_version_cannot_read_is_printed_and_results_describe_the_sweep() {
    let text = SpecText { text: "name = <b>".to_owned(), format: Format::Toml, resolved: "?".to_owned() };
    let spec = Spec::of(SpecView { extensions: vec![text.clone()], text });
    let results = paper(2);
    let subject = Subject::Sweep { sweep: &finished("s", &results), spec: &spec, attempts: &[], causes: &[] };
    let page = written(subject, &record(Point::new(), &results), Some(&curves(&results)));
    assert!(
        page.contains("name = &#60;b&#62;")
            && page.contains("Extension 1: <code>extension-1.toml</code>")
            && page.contains("\nbiosweep extend s extension-1.toml\nbiosweep run s\n"),
        "{page}"
    );
    assert!(page.contains("48 trials with results") && !page.contains("Digest of the spec"), "{page}");
}

#[test]
fn the_same_contents_give_the_same_page() {
    assert_eq!(page("s", &paper(3)), page("s", &paper(3)));
}
