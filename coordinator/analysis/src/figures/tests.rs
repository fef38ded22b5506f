//! The layout of figures, measured: texts keep apart, and nothing leaves the figure. The files of figures, read again.

use biosweep_common::configuration::Point;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::rules::Rule;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_common::vocabulary::{Dataset, Network};

use super::scene::{Bounds, Mark, Scene, Text};
use super::{
    Figure, Format, Slice, Width, accuracy_by_depth, accuracy_by_learning_rate, contrasts, diagnostics, importance,
    learning_curves, selected_curves, sensitivity, slice, tuning_budget,
};
use crate::axes;
use crate::axes::sensitivity::{sorted, spreads};
use crate::compare::{Comparison, Question, Test, compare};
use crate::replicates::Replicates;
use crate::samples::{cells, completed, curves, ended, paper, with};

const WIDTHS: [Width; 2] = [Width::COLUMN, Width::PAGE];
/// The least size of text, in points.
const SIZE_MIN: f64 = 7.0;

/// What a figure shows.
#[derive(Debug, Clone, Copy)]
struct Content {
    lines: usize,
    depths: u64,
    panels: usize,
    replicates: u64,
}

/// A name of 40 characters, wide ones.
fn long_name(number: usize) -> String {
    format!("{:W<39}{number}", "Wide Müller & <Søn> ±δη ")
}

/// Lines of every rule; networks follow each other.
fn lines(count: usize) -> Vec<(&'static str, &'static str)> {
    let networks = [Network::Lognormal, Network::Dn, Network::Nn];
    let all = networks.iter().flat_map(|network| Rule::ALL.iter().map(|rule| (rule.name(), network.name())));
    all.take(count).collect()
}

/// Results with every kind of cell: complete, partial, diverged, failed.
fn results(content: Content) -> Vec<ResultView> {
    let mut results = Vec::new();
    for panel in 0..content.panels {
        for (line, &(rule, network)) in lines(content.lines).iter().enumerate() {
            for depth in 1..=content.depths {
                for fold in 0..content.replicates {
                    let number = (line as u64 * 7 + depth * 3 + fold * 5 + panel as u64) % 23;
                    let accuracy = 0.99 - 0.04 * number as f64;
                    let result = match number {
                        3 => ended(rule, network, depth, TrialStatus::Diverged),
                        4 => ended(rule, network, depth, TrialStatus::Failed),
                        _ => completed(rule, network, depth, accuracy, accuracy),
                    };
                    let activation = ["relu", "sigmoid", "tanh"][panel % 3];
                    let dataset = format!("npy:/data/{}", long_name(panel / 3));
                    let name = |text: &str| Value::Name(text.to_owned().into());
                    let settings =
                        [("activation", name(activation)), ("fold", Value::Integer(fold)), ("dataset", name(&dataset))];
                    results.push(with(result, &settings));
                }
            }
        }
    }
    results
}

fn contents() -> Vec<Content> {
    let mut contents = Vec::new();
    for (lines, depths) in [(1, 1), (16, 1), (16, 2), (27, 5), (16, 30)] {
        for panels in 1..=6 {
            contents.push(Content { lines, depths, panels, replicates: 2 });
        }
    }
    contents
}

fn all_figures() -> Vec<(String, Figure)> {
    let mut figures = Vec::new();
    for content in contents() {
        let results = results(content);
        let (cells, curves) = (cells(&results), curves(&results));
        assert_eq!(cells.len(), content.lines * content.depths as usize * content.panels, "every cell is there");
        for width in WIDTHS {
            let title = long_name(7);
            figures.push((format!("depth, {content:?}, {width:?}"), accuracy_by_depth(&title, &cells, width)));
            figures
                .push((format!("learning, {content:?}, {width:?}"), learning_curves(&title, &cells, &curves, width)));
            figures.push((format!("no curves, {content:?}, {width:?}"), learning_curves(&title, &cells, &[], width)));
            let named: Vec<(String, Vec<&CurveView>)> =
                curves.chunks(3).take(50).enumerate().map(|(i, some)| (long_name(i), some.iter().collect())).collect();
            figures.push((format!("selected, {content:?}, {width:?}"), selected_curves(&title, &named, width)));
            let values = (0..40.min(content.depths * 8)).map(|i| (format!("{}", 1e-5 * i as f64), vec![0.1, 0.9]));
            let longest = Setting::ALL.iter().map(|setting| setting.name()).max_by_key(|name| name.len());
            let by_axis = Slice { axis: longest.expect("settings").to_owned(), values: values.collect() };
            figures.push((
                format!("slice, {content:?}, {width:?}"),
                slice(&title, &by_axis, "validation accuracy (%)", width),
            ));
            for (name, figure) in of_settings(&title, &results, width) {
                figures.push((format!("{name}, {content:?}, {width:?}"), figure));
            }
            let measured = if content.panels % 3 == 0 { measured(curves.clone()) } else { Vec::new() };
            for (measure, figure) in diagnostics(&title, &cells, &measured, width) {
                figures.push((format!("{measure}, {content:?}, {width:?}"), figure));
            }
        }
    }
    for width in WIDTHS {
        figures.push((format!("empty depth, {width:?}"), accuracy_by_depth("", &[], width)));
        figures.push((format!("empty learning, {width:?}"), learning_curves("", &[], &[], width)));
        figures.extend(of_settings("", &[], width));
    }
    figures
}

/// The figures that show more settings than the best.
fn of_settings(title: &str, results: &[ResultView], width: Width) -> Vec<(String, Figure)> {
    let tried = |(place, result): (usize, &ResultView)| {
        with(result.clone(), &[("learning_rate", Value::Real([1e-5, 0.00123, 0.1][place % 3]))])
    };
    let results: Vec<ResultView> = results.iter().enumerate().map(tried).collect();
    let replicates = Replicates::of(&results).expect("known counts");
    let found = axes::importance::importance(&replicates);
    let of_rules = Question::arms_of(Setting::Rule, ["bp", "fa", "dtp"].map(|name| Value::Name(name.into())));
    let question = Question { shared: Point::new(), arms: of_rules, by: None, margin: 0.01, test: Test::SignFlip };
    let comparison = compare(&replicates, &question).unwrap_or_default();
    let as_planned =
        Comparison { planned: comparison.secondary.iter().take(9).cloned().collect(), ..Comparison::default() };
    let figures = [
        ("contrasts", contrasts(title, &comparison, width)),
        ("planned contrasts", contrasts(title, &as_planned, width)),
        ("learning rate", accuracy_by_learning_rate(title, &replicates, width)),
        ("sensitivity", sensitivity(title, &sorted(&replicates), width)),
        ("budget", tuning_budget(title, &spreads(&replicates), width)),
        ("importance", importance(title, found.as_ref(), width)),
    ];
    figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}

/// The same curves with measures of some layers, over a small and a large range.
fn measured(mut curves: Vec<CurveView>) -> Vec<CurveView> {
    for (i, curve) in curves.iter_mut().enumerate() {
        let layers = 1 + (i % 5) as u32 * 7;
        let point = |measure: Measure, layer: u32, at: usize| {
            let value = 90.0 / f64::from(layer) + at as f64;
            let value = match measure {
                Measure::WeightNorm => 10_f64.powf(value / 10.0 - 4.0),
                Measure::DeadUnits => value / 100.0,
                _ => value,
            };
            DiagnosticPoint { update: 390 * (at as u64 + 1), layer, measure, value }
        };
        let of_measure =
            |measure: Measure| (1..=layers).flat_map(move |layer| (0..3).map(move |at| point(measure, layer, at)));
        let measures = [Measure::FeedbackAngle, Measure::WeightNorm, Measure::DeadUnits];
        curve.diagnostics = measures.into_iter().flat_map(of_measure).collect();
    }
    curves
}

#[test]
fn no_two_texts_overlap_and_nothing_leaves_the_figure() {
    for (name, figure) in all_figures() {
        let scene = &figure.scene;
        let canvas = Bounds { left: 0.0, top: 0.0, right: scene.width, bottom: scene.height };
        for mark in &scene.marks {
            assert!(canvas.contains(&mark.bounds()), "{name}: {mark:?} is not within {canvas:?}");
        }
        assert!(scene.texts().all(|text| text.style.size >= SIZE_MIN), "{name}");
        assert_eq!(overlap(scene), None, "{name}");
    }
}

/// Two texts that overlap.
fn overlap(scene: &Scene) -> Option<(&Text, &Text)> {
    let texts: Vec<&Text> = scene.texts().collect();
    let pairs = (0..texts.len()).flat_map(|i| texts[..i].iter().map(move |other| (i, *other)));
    pairs.map(|(i, other)| (texts[i], other)).find(|(one, other)| one.bounds().overlaps(&other.bounds()))
}

#[test]
fn the_measure_of_overlap_finds_an_overlap() {
    let mut figure = accuracy_by_depth("a title", &cells(&paper(2)), Width::PAGE);
    let Some(Mark::Text(title)) = figure.scene.marks.first().cloned() else { panic!("the title is first") };
    let at = (title.at.0 + 5.0, title.at.1 + 5.0);
    assert_eq!(overlap(&figure.scene), None);
    figure.scene.marks.push(Mark::Text(Text { at, ..title }));
    assert!(overlap(&figure.scene).is_some());
}

#[test]
fn the_width_of_a_figure_is_the_one_asked_for() {
    for (width, inches) in [(Width::COLUMN, 3.3), (Width::PAGE, 6.8)] {
        let figure = accuracy_by_depth("s", &cells(&paper(2)), width);
        assert!((figure.scene.width / 72.0 - inches).abs() < 1e-9);
        assert!(figure.svg().contains(&format!("width=\"{}pt\"", (inches * 7_200.0).round() / 100.0)));
    }
}

#[test]
fn every_text_of_a_figure_has_its_characters_in_the_font() {
    let figure = accuracy_by_depth("δ, ± and × → é", &cells(&paper(2)), Width::PAGE);
    assert!(figure.missing_characters().is_empty());
    let figure = accuracy_by_depth("漢字 (so far)", &cells(&paper(2)), Width::PAGE);
    assert_eq!(figure.missing_characters(), ['漢', '字'].into());
    assert!(figure.svg().contains("漢字"), "the reader's font may have them");
}

#[test]
fn strange_titles_break_nothing() {
    for title in ["a\u{0}b\u{b}\u{ffff}", "שלום \u{202e}evil", "</title><script>&", "👩‍🔬", &"long ".repeat(200)]
    {
        let figure = accuracy_by_depth(title, &cells(&paper(2)), Width::COLUMN);
        let svg = figure.svg();
        let is_legal = |c: char| !c.is_control() || c == '\n';
        assert!(svg.chars().all(is_legal) && !svg.contains('\u{202e}') && !svg.contains("<script"), "{svg}");
        for &format in Format::ALL {
            assert!(!figure.encode(format).expect("a file").is_empty());
        }
    }
}

#[test]
fn a_png_image_has_300_pixels_per_inch_on_white() {
    for (width, pixels) in [(Width::COLUMN, 990), (Width::PAGE, 2_040)] {
        let figure = accuracy_by_depth("a sweep", &cells(&paper(2)), width);
        let file = figure.encode(Format::Png).expect("an image");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().expect("a PNG file");
        let height = (figure.scene.height * 300.0 / 72.0).round() as u32;
        assert_eq!((reader.info().width, reader.info().height), (pixels, height));
        assert_eq!(reader.info().pixel_dims.map(|dims| (dims.xppu, dims.yppu)), Some((11_811, 11_811)));
        let mut image = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut image).expect("pixels");
        assert!(image[..3] == [255; 3] && image.iter().any(|&value| value < 50), "ink on white");
        assert!(figure.encode(Format::Png).expect("an image") == file, "the same bytes again");
    }
}

#[test]
fn a_pdf_file_has_its_fonts_and_is_the_same_every_time() {
    let figure = || accuracy_by_depth("a sweep", &cells(&paper(2)), Width::COLUMN);
    let file = figure().encode(Format::Pdf).expect("a file");
    assert!(file.starts_with(b"%PDF") && file == figure().encode(Format::Pdf).expect("a file"));
    let text = String::from_utf8_lossy(&file);
    for part in ["/FontFile2", "Inter-Regular", "Inter-SemiBold", "/ToUnicode"] {
        assert!(text.contains(part), "{part}");
    }
    for part in ["Helvetica", "/CreationDate", "/ModDate"] {
        assert!(!text.contains(part), "{part}");
    }
}

#[test]
fn an_image_that_is_too_high_is_refused() {
    let mut figure = accuracy_by_depth("a sweep", &[], Width::COLUMN);
    figure.scene.height = 1e6;
    let error = figure.encode(Format::Png).expect_err("no image");
    assert!(error.to_string().contains("use SVG or PDF"), "{error}");
}

#[test]
fn a_named_dataset_is_in_no_heading_if_it_is_the_only_one() {
    let svg = accuracy_by_depth("s", &cells(&paper(2)), Width::PAGE).svg();
    assert!(!svg.contains(Dataset::Mnist.name()), "{svg}");
}
