//! The summary of a dataset: its counts, the range of its values, unusual properties, and why trials cannot be trained
//! on it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::grid::{Block, Grid};
use crate::network::extents::extents;
use crate::plan::cost::{SHAPES_MAX, shape};
use crate::vocabulary::Dataset;
use crate::vocabulary::dataset::{DatasetRef, DatasetSize};
use crate::vocabulary::extent::Extent;

/// Values with a larger magnitude are far from the range 0 to 1 that initial weights and learning rates assume.
const MAGNITUDE_MAX: f32 = 16.0;
/// Values in a smaller range are almost equal for a network.
const SPREAD_MIN: f32 = 0.02;
/// Training and test images whose largest magnitudes differ by a larger factor have different scales.
const SCALE_MAX: f32 = 4.0;

/// The summary of a dataset. As JSON, it is the output of `biosweep-worker check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// The dataset, as in settings.
    pub dataset: DatasetRef,
    /// The size of its images.
    pub image: Extent,
    /// Number of classes: the largest label plus one.
    pub classes: usize,
    /// Number of training images that are used for validation.
    pub validation: usize,
    /// The images for training and validation.
    pub train: PartSummary,
    /// The images for the test accuracy only.
    pub test: PartSummary,
}

/// The summary of one part of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartSummary {
    /// Number of images.
    pub images: usize,
    /// The least pixel value, as networks see it.
    pub least: f32,
    /// The greatest pixel value.
    pub greatest: f32,
    /// Number of images of each class; empty if they were not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of_class: Vec<usize>,
}

impl PartSummary {
    /// The largest absolute value.
    fn magnitude(&self) -> f32 {
        self.least.abs().max(self.greatest.abs())
    }
}

impl DatasetSummary {
    /// The summary of a dataset that biosweep knows by name, without reading its files.
    #[must_use]
    pub fn of_named(dataset: Dataset) -> Self {
        let (train, test, validation) = match dataset {
            Dataset::Mnist | Dataset::FashionMnist | Dataset::Kmnist => (60_000, 10_000, 10_000),
            Dataset::Cifar10 => (50_000, 10_000, 10_000),
            Dataset::SyntheticDigits => (12_000, 2_000, 2_000),
        };
        let part = |images| PartSummary { images, least: 0.0, greatest: 1.0, of_class: Vec::new() };
        Self {
            dataset: dataset.into(),
            image: dataset.image(),
            classes: dataset.classes(),
            validation,
            train: part(train),
            test: part(test),
        }
    }

    /// The counts that statistics need.
    ///
    /// # Panics
    /// If a count is 2³² or more.
    #[must_use]
    pub fn size(&self) -> DatasetSize {
        let count = |count: usize| u32::try_from(count).expect("a part has fewer than 2^32 images");
        DatasetSize {
            classes: count(self.classes),
            train_images: count(self.train.images - self.validation),
            validation_images: count(self.validation),
            test_images: count(self.test.images),
        }
    }

    /// Unusual properties that do not prevent training: classes that cannot be learned, and values far from the usual
    /// range.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let all = [self.missing_classes(), self.classes_to_test_only(), self.range(), self.scales()];
        let name = self.dataset.label();
        all.into_iter().flatten().map(|warning| format!("{name}: {warning}")).collect()
    }

    /// Why trials of a grid cannot be trained on it; empty if all can. Of very many shapes only a sample is checked.
    #[must_use]
    pub fn refusals(&self, grid: &Grid) -> Vec<String> {
        let mut refusals = BTreeSet::new();
        for block in grid.blocks() {
            for trajectory in shapes(block) {
                let shape = shape(block, trajectory);
                if shape.dataset != self.dataset {
                    continue;
                }
                let (batch, images) = (shape.batch_size as usize, self.train.images.saturating_sub(self.validation));
                let name = self.dataset.label();
                if batch > images {
                    refusals.insert(format!(
                        "`batch_size` {batch} is more than the {images} training images of {name}, \
                         without the {} for validation; choose a smaller one",
                        self.validation
                    ));
                }
                if let Err(too_small) = extents(&shape, self.image, self.classes) {
                    refusals.insert(format!("{name}: {too_small}; list fewer layers"));
                }
            }
        }
        refusals.into_iter().collect()
    }

    /// Classes without images.
    fn missing_classes(&self) -> Option<String> {
        let missing = self.classes_where(|train, test| train == 0 && test == 0);
        let first = (0..self.classes).find(|class| !missing.contains(class))?;
        match missing.as_slice() {
            [] => None,
            // Only the labels below the first one are missing.
            missing if missing.len() == first => Some(format!(
                "no image has {}, but labels start at 0: {} outputs are trained for {} classes; \
                 save `labels - {first}`, in both parts",
                labels(missing),
                self.classes,
                self.classes - missing.len()
            )),
            missing => Some(format!(
                "no image has {} of 0 to {}: {} outputs are trained for {} classes; \
                 number the labels 0, 1, 2 … without gaps, in both parts",
                labels(missing),
                self.classes - 1,
                self.classes,
                self.classes - missing.len()
            )),
        }
    }

    /// Classes with test images but without training images.
    fn classes_to_test_only(&self) -> Option<String> {
        let untrained = self.classes_where(|train, test| train == 0 && test > 0);
        let images: usize = untrained.iter().filter_map(|&class| self.test.of_class.get(class)).sum();
        (!untrained.is_empty()).then(|| {
            let labels = labels(&untrained);
            format!("no training image has {labels}, but {images} test images have: no network can learn this; split the data again")
        })
    }

    /// The classes for which the counts of training and test images meet a condition.
    fn classes_where(&self, condition: impl Fn(usize, usize) -> bool) -> Vec<usize> {
        let both = self.train.of_class.iter().zip(&self.test.of_class).enumerate();
        both.filter(|(_, (train, test))| condition(**train, **test)).map(|(class, _)| class).collect()
    }

    /// Training values far from 0 to 1, or almost equal.
    fn range(&self) -> Option<String> {
        let PartSummary { least, greatest, .. } = self.train;
        let range = format!("the training images have values {} to {}", brief(least), brief(greatest));
        if self.train.magnitude() > MAGNITUDE_MAX {
            let fix = if least >= 0.0 && greatest <= 255.0 {
                "`(images / 255).astype('float32')`, or the original bytes,"
            } else {
                "`(images - images.mean()) / images.std()`"
            };
            return Some(format!(
                "{range}, far from the range 0 to 1 that learning rates assume; save {fix} in both parts"
            ));
        }
        (greatest - least < SPREAD_MIN).then(|| {
            format!(
                "{range}, which hardly differ; were they divided by 255 twice? biosweep divides bytes by 255: save images of 0 \
                 and 1 as float32"
            )
        })
    }

    /// Training and test images with different scales.
    fn scales(&self) -> Option<String> {
        let (train, test) = (self.train.magnitude(), self.test.magnitude());
        (train.max(test) > SCALE_MAX * train.min(test)).then(|| {
            let [a, b, c, d] = [self.train.least, self.train.greatest, self.test.least, self.test.greatest].map(brief);
            format!("the training images have values {a} to {b} and the test images {c} to {d}; scale both parts in the same way")
        })
    }
}

impl fmt::Display for DatasetSummary {
    /// Writes for example "600 + 100 images of 3×32×32, 10 classes, values 0 to 1".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image: Extent { channels, height, width }, classes, train, test, .. } = self;
        write!(f, "{} + {} images of ", train.images, test.images)?;
        if *channels > 1 {
            write!(f, "{channels}×")?;
        }
        let (least, greatest) = (train.least.min(test.least), train.greatest.max(test.greatest));
        write!(f, "{height}×{width}, {classes} classes, values {} to {}", brief(least), brief(greatest))
    }
}

/// Labels as text: all if they are few, otherwise the first ones and the last.
fn labels(classes: &[usize]) -> String {
    const LISTED_MAX: usize = 8;
    let listed: Vec<String> = classes.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    match classes {
        [one] => format!("label {one}"),
        [_, .., last] if classes.len() > LISTED_MAX => format!("the labels {} … {last}", listed.join(", ")),
        _ => format!("the labels {}", listed.join(", ")),
    }
}

/// A value with at most four significant digits, with an exponent if it is very small or very large.
fn brief(value: f32) -> String {
    let rounded: f32 = format!("{value:.3e}").parse().unwrap_or(value);
    if rounded == 0.0 || (1e-3..1e6).contains(&rounded.abs()) {
        format!("{}", rounded + 0.0)
    } else {
        format!("{rounded:e}")
    }
}

/// One trajectory of each shape of a block, or a sample if the shapes are very many.
pub(super) fn shapes(block: &Block) -> Vec<u64> {
    if block.shapes() > SHAPES_MAX {
        let spread = |n: u64| u128::from(n) * u128::from(block.trajectories() - 1) / u128::from(SHAPES_MAX - 1);
        return (0..SHAPES_MAX).filter_map(|n| u64::try_from(spread(n)).ok()).collect();
    }
    let next = |&start: &u64| Some(block.shape_run_end(start)).filter(|&end| end < block.trajectories());
    std::iter::successors(Some(0), next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Format, SweepSpec};

    /// 600 + 100 colour images of ten classes.
    fn summary() -> DatasetSummary {
        let part = |images: usize| PartSummary { images, least: 0.0, greatest: 1.0, of_class: vec![images / 10; 10] };
        DatasetSummary {
            dataset: "npy:/data/own".parse().expect("custom data"),
            image: Extent { channels: 3, height: 32, width: 32 },
            classes: 10,
            validation: 100,
            train: part(600),
            test: part(100),
        }
    }

    fn warning(change: impl Fn(&mut DatasetSummary)) -> String {
        let mut changed = summary();
        change(&mut changed);
        changed.warnings().join("\n")
    }

    #[test]
    fn a_summary_is_written_in_one_line_and_read_back_from_json() {
        assert_eq!(summary().to_string(), "600 + 100 images of 3×32×32, 10 classes, values 0 to 1");
        let mnist = DatasetSummary::of_named(Dataset::Mnist);
        assert_eq!(mnist.to_string(), "60000 + 10000 images of 28×28, 10 classes, values 0 to 1");
        for summary in [summary(), mnist] {
            assert_eq!(summary.warnings(), Vec::<String>::new());
            let text = serde_json::to_string(&summary).expect("json");
            assert_eq!(serde_json::from_str::<DatasetSummary>(&text).expect("a summary"), summary, "{text}");
        }
    }

    #[test]
    fn values_are_written_with_few_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-2.117_904, "-2.118"),
            (0.003_921_569, "0.003922"),
            (1e-9, "1e-9"),
            (3e38, "3e38"),
        ] {
            assert_eq!(brief(value), text);
        }
    }

    #[test]
    fn a_warning_about_classes_without_images_says_what_to_save() {
        let from_1 = warning(|own| (own.train.of_class[0], own.test.of_class[0]) = (0, 0));
        assert!(from_1.starts_with("own: no image has label 0, but labels start at 0: 10 outputs"), "{from_1}");
        assert!(from_1.contains("save `labels - 1`"), "{from_1}");
        let gaps = warning(|own| {
            for class in [3, 7] {
                (own.train.of_class[class], own.test.of_class[class]) = (0, 0);
            }
        });
        assert!(
            gaps.contains("no image has the labels 3, 7 of 0 to 9: 10 outputs are trained for 8 classes"),
            "{gaps}"
        );
        let untrained = warning(|own| own.train.of_class[9] = 0);
        assert!(untrained.contains("no training image has label 9, but 10 test images have"), "{untrained}");
        assert_eq!(warning(|own| own.test.of_class[9] = 0), "", "a class without test images gives no warning");
    }

    #[test]
    fn a_warning_about_values_far_from_0_to_1_says_what_to_save() {
        let scaled = |least: f32, greatest: f32| {
            warning(|own| {
                (own.train.least, own.train.greatest) = (least, greatest);
                (own.test.least, own.test.greatest) = (least, greatest);
            })
        };
        assert!(
            scaled(0.0, 255.0).contains("values 0 to 255, far from") && scaled(0.0, 255.0).contains("images / 255")
        );
        assert!(scaled(-900.0, 3_000.0).contains("images.std()"));
        assert!(scaled(0.0, 1.0 / 255.0).contains("values 0 to 0.003922, which hardly differ"));
        for usual in [(0.0, 1.0), (-1.0, 1.0), (-2.5, 3.0), (0.1, 0.9)] {
            assert_eq!(scaled(usual.0, usual.1), "");
        }
        let apart = warning(|own| own.test.greatest = 255.0);
        assert!(
            apart.contains("values 0 to 1 and the test images 0 to 255; scale both parts in the same way"),
            "{apart}"
        );
    }

    #[test]
    fn trials_with_too_few_or_too_small_images_are_refused_with_the_reason() {
        let refusals = |lines: &str| {
            let text =
                format!("name = \"r\"\n[data]\ndataset = {{ npy = \"/data/own\" }}\n[grid]\nrule = \"bp\"\n{lines}\n");
            let spec = SweepSpec::parse(&text, Format::Toml, "r").unwrap_or_else(|errors| panic!("{errors}"));
            summary().refusals(&spec.grid).join("\n")
        };
        assert_eq!(refusals("network = \"nn\"\ndepth = 1\nbatch_size = [1, 500]"), "");
        let large = refusals("network = \"nn\"\ndepth = [1, 2]\nbatch_size = [500, 501]");
        assert!(large.starts_with("`batch_size` 501 is more than the 500 training images of own"), "{large}");
        assert!(!large.contains('\n'), "{large}");
        assert_eq!(
            refusals("network = \"nn\"\ndepth = 1\nbatch_size = [128, 501]\nexclude = [{ batch_size = 501 }]"),
            ""
        );
        let deep = "network = \"convnet\"\ndepth = 7\ndownsample_after = ";
        assert_eq!(refusals(&format!("{deep}[1, 2, 3, 4, 5]")), "");
        let deep = refusals(&format!("{deep}[1, 2, 3, 4, 5, 6]"));
        assert!(deep.starts_with("own: images of 32 by 32 can be halved 5 times"), "{deep}");
        let many = "network = \"nn\"\ndepth = 1\neval_every = { from = 1, to = 1_000_000 }\nbatch_size = 501";
        assert!(!refusals(many).is_empty(), "a million shapes");
    }
}
