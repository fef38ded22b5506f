//! The exact functional ANOVA of a complete grid (Hoeffding 1948; Hutter, Hoos and Leyton-Brown 2014).
//!
//! Let m_W(x) be the mean of all cells with the levels x on the axes W. The effect of a set of axes U is the
//! inclusion–exclusion of means a_U(x) = Σ_{W ⊆ U} (−1)^{|U|−|W|} m_W(x), and its variance component is the mean of
//! a_U(x)² over all levels x. The components of all sets of axes add up to the variance of the cells.
//!
//! **Replicate noise.** A cell's mean has an error with the variance v_c, independent between cells. Such errors add
//! (r_U / N) · v̄ to the component of U, and ((N − 1) / N) · v̄ to the total, where N is the number of cells, v̄ the mean
//! of all v_c, and r_U = Π_{j ∈ U} (L_j − 1) with L_j levels on axis j. This holds exactly even if the cells have unequal v_c,
//! because every cell has the same weight in a_U. These amounts are subtracted, so each estimate is unbiased, and an
//! estimate may be negative: a sum of clamped estimates would be too large. Clamp at 0 only what is shown.
//!
//! If replicates share folds, then the effect of a fold is the same in all cells, and no component of a set of axes
//! contains it. Subtract each fold's mean over all cells before the v_c are computed, or too much noise is subtracted.

use super::super::summary::{finite, mean, sum};

/// The largest number of axes in a set.
pub const ORDER_MAX: usize = 3;

/// The cells of a complete grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid<'a> {
    /// Number of levels of each axis.
    pub levels: &'a [usize],
    /// The mean of each cell; row-major, so the level of the last axis changes from cell to cell.
    pub means: &'a [f64],
    /// The variance of each cell's mean, s² / n of its replicates, in the same order; 0 without noise. At least 0.
    pub noise: &'a [f64],
}

/// The variance components of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Anova {
    /// The variance of the cells, divided by N and not by N − 1, less its noise; in the square of the cells' unit.
    pub total: f64,
    /// The components of all sets of up to [`ORDER_MAX`] axes: single axes first, then pairs, then triples.
    pub components: Vec<Component>,
}

/// The variance component of a set of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// The axes in ascending order.
    pub axes: Vec<usize>,
    /// The variance of the effect less its noise, in the square of the cells' unit; negative if there is less variance than
    /// noise.
    pub variance: f64,
    /// The noise that was subtracted.
    pub noise: f64,
}

impl Anova {
    /// The part of the total variance in a component, not clamped. `None` unless the total is above 0.
    #[must_use]
    pub fn share(&self, component: &Component) -> Option<f64> {
        finite(component.variance / self.total).filter(|_| self.total > 0.0)
    }
}

/// The variance components of a complete grid.
///
/// `None` if an axis has no level, if there is not one mean and one variance for each cell, or if a variance is negative.
#[must_use]
pub fn anova(grid: Grid<'_>) -> Option<Anova> {
    let cells = grid.levels.iter().try_fold(1_usize, |cells, &levels| cells.checked_mul(levels))?;
    if grid.means.len() != cells || grid.noise.len() != cells || grid.noise.iter().any(|&v| v < 0.0) {
        return None;
    }
    let (centre, noise) = (mean(grid.means)?, mean(grid.noise)?);
    // Without their mean, the cells keep more digits of their differences.
    let deviations: Vec<f64> = grid.means.iter().map(|mean| mean - centre).collect();
    let component = |axes: Vec<usize>| {
        let rank: f64 = axes.iter().map(|&axis| (grid.levels[axis] - 1) as f64).product();
        let noise = rank / cells as f64 * noise;
        let variance = finite(mean_square(&effect(&deviations, grid.levels, &axes)) - noise)?;
        Some(Component { axes, variance, noise })
    };
    let total = finite(mean_square(&deviations) - (cells - 1) as f64 / cells as f64 * noise)?;
    let components = sets(grid.levels.len()).into_iter().map(component).collect::<Option<Vec<_>>>()?;
    Some(Anova { total, components })
}

/// The sets of up to [`ORDER_MAX`] axes, by their size, then in lexicographic order.
fn sets(axes: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut last: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..ORDER_MAX {
        let longer = |set: &Vec<usize>| {
            let (set, first) = (set.clone(), set.last().map_or(0, |last| last + 1));
            (first..axes).map(move |axis| set.iter().copied().chain([axis]).collect())
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// The effect a_U of a set of axes at each of its levels.
///
/// The sum of inclusion–exclusion is a product: the means over all other axes, less their mean along each axis of U.
fn effect(cells: &[f64], levels: &[usize], axes: &[usize]) -> Vec<f64> {
    let (mut table, mut shape) = (cells.to_vec(), levels.to_vec());
    for axis in (0..levels.len()).filter(|axis| !axes.contains(axis)) {
        table = means_along(&table, &shape, axis);
        shape[axis] = 1;
    }
    for &axis in axes {
        let means = means_along(&table, &shape, axis);
        let inner: usize = shape[axis + 1..].iter().product();
        for (place, value) in table.iter_mut().enumerate() {
            *value -= means[place / (inner * shape[axis]) * inner + place % inner];
        }
    }
    table
}

/// The means of a row-major table along one axis.
fn means_along(table: &[f64], shape: &[usize], axis: usize) -> Vec<f64> {
    let inner: usize = shape[axis + 1..].iter().product();
    let slab = |slab: &[f64]| -> Vec<f64> {
        let along = |place| sum(slab[place..].iter().step_by(inner).copied()) / shape[axis] as f64;
        (0..inner).map(along).collect()
    };
    table.chunks(inner * shape[axis]).flat_map(slab).collect()
}

fn mean_square(values: &[f64]) -> f64 {
    sum(values.iter().map(|value| value * value)) / values.len() as f64
}

#[cfg(test)]
mod tests {
    use biosweep_numeric::random::{Purpose, Stream};

    use super::*;

    fn without_noise(levels: &[usize], means: &[f64]) -> Anova {
        anova(Grid { levels, means, noise: &vec![0.0; means.len()] }).expect("a complete grid")
    }

    fn variances(anova: &Anova) -> Vec<(&[usize], f64)> {
        anova.components.iter().map(|component| (&component.axes[..], component.variance)).collect()
    }

    #[test]
    fn a_sum_of_axes_has_no_interaction_and_a_product_of_centred_axes_has_nothing_else() {
        let added = without_noise(&[2, 2], &[0.0, 2.0, 4.0, 6.0]);
        assert_eq!(variances(&added), [(&[0][..], 4.0), (&[1], 1.0), (&[0, 1], 0.0)]);
        assert_eq!((added.total, added.share(&added.components[0])), (5.0, Some(0.8)));
        let multiplied = without_noise(&[2, 2], &[1.0, -1.0, -1.0, 1.0]);
        assert_eq!(variances(&multiplied), [(&[0][..], 0.0), (&[1], 0.0), (&[0, 1], 1.0)]);
    }

    #[test]
    fn the_last_axis_is_the_fastest() {
        let anova = without_noise(&[2, 3], &[0.0, 3.0, 6.0, 0.0, 3.0, 6.0]);
        assert_eq!(variances(&anova), [(&[0][..], 0.0), (&[1], 6.0), (&[0, 1], 0.0)]);
    }

    #[test]
    fn up_to_three_axes_the_components_add_up_to_the_total() {
        let means: Vec<f64> = (0..30).map(|cell| f64::from(cell * cell % 17) + 1e6).collect();
        let anova = without_noise(&[2, 3, 5], &means);
        let sum: f64 = anova.components.iter().map(|component| component.variance).sum();
        assert_eq!(anova.components.len(), 7);
        assert!((sum - anova.total).abs() < 1e-9 * anova.total, "{sum} and {}", anova.total);
    }

    #[test]
    fn four_axes_have_sets_of_at_most_three() {
        let names: Vec<String> =
            sets(4).iter().map(|set| set.iter().map(ToString::to_string).collect::<String>()).collect();
        assert_eq!(names, "0 1 2 3 01 02 03 12 13 23 012 013 023 123".split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn estimates_of_pure_noise_are_zero_on_average() {
        let (levels, repetitions) = ([2, 3, 4], 4_000);
        // Cells of unequal noise.
        let noise: Vec<f64> = (0..24).map(|cell| 0.1 + f64::from(cell % 5)).collect();
        let mut stream = Stream::new(5, 0, Purpose::Noise(0), 0);
        let (mut sums, mut total, mut subtracted) = (vec![0.0; 7], 0.0, vec![0.0; 7]);
        for _ in 0..repetitions {
            let mut means = vec![0.0; 24];
            stream.fill_normal_f64(&mut means, 1.0);
            means.iter_mut().zip(&noise).for_each(|(mean, variance)| *mean *= variance.sqrt());
            let anova = anova(Grid { levels: &levels, means: &means, noise: &noise }).expect("a complete grid");
            for (place, component) in anova.components.iter().enumerate() {
                sums[place] += component.variance;
                subtracted[place] = component.noise;
            }
            total += anova.total;
        }
        for (sum, noise) in sums.iter().zip(&subtracted).chain([(&total, &subtracted.iter().sum())]) {
            // A component of rank r has a standard deviation of about √(2/r) of its noise: five standard errors.
            let mean = sum / f64::from(repetitions);
            assert!(mean.abs() < 5.0 * 2.0_f64.sqrt() * noise / f64::from(repetitions).sqrt(), "{mean} of {noise}");
            assert!(*noise > 0.0);
        }
    }

    #[test]
    fn a_component_with_less_variance_than_noise_is_negative() {
        let anova = anova(Grid { levels: &[2], means: &[0.5, 0.5], noise: &[0.04, 0.08] }).expect("a complete grid");
        assert_eq!((anova.components[0].variance, anova.total), (-0.03, -0.03));
        assert_eq!((anova.components[0].noise, anova.share(&anova.components[0])), (0.03, None));
    }

    #[test]
    fn an_axis_with_one_level_has_no_variance() {
        let anova = without_noise(&[1, 2], &[0.25, 0.75]);
        assert_eq!(variances(&anova), [(&[0][..], 0.0), (&[1], 0.0625), (&[0, 1], 0.0)]);
        let cell = without_noise(&[], &[0.5]);
        assert_eq!((cell.total, cell.components), (0.0, Vec::new()));
    }

    #[test]
    fn an_incomplete_grid_has_no_answer() {
        let none =
            |levels: &[usize], means: &[f64], noise: &[f64]| assert_eq!(anova(Grid { levels, means, noise }), None);
        none(&[2, 2], &[0.1; 3], &[0.0; 3]);
        none(&[2], &[0.1; 2], &[0.0; 1]);
        none(&[2, 0], &[], &[]);
        none(&[2], &[0.1, f64::NAN], &[0.0; 2]);
        none(&[2], &[0.1; 2], &[0.0, -1.0]);
        none(&[2], &[0.1; 2], &[0.0, f64::INFINITY]);
        none(&[usize::MAX, 2], &[0.1; 2], &[0.0; 2]);
    }
}
