//! The width of a figure on paper.

/// Points in an inch.
pub(crate) const POINTS_PER_INCH: f64 = 72.0;

/// The width at which a figure is printed. Text has at least 7 points at this width, so the figure must not be scaled down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Width {
    inches: f64,
}

/// A width that no figure can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a figure cannot be {inches} in wide; use a width from {min} to {max} in", min = Width::MIN_INCHES, max = Width::MAX_INCHES)]
pub struct WidthError {
    inches: f64,
}

impl Width {
    /// One column of a paper with two columns: 3.3 in.
    pub const COLUMN: Self = Self { inches: 3.3 };
    /// The text width of a page: 6.8 in.
    pub const PAGE: Self = Self { inches: 6.8 };
    /// The least width, in inches.
    pub const MIN_INCHES: f64 = 3.0;
    /// The greatest width, in inches.
    pub const MAX_INCHES: f64 = 20.0;

    /// A width in inches, from [`Self::MIN_INCHES`] to [`Self::MAX_INCHES`].
    pub fn from_inches(inches: f64) -> Result<Self, WidthError> {
        let is_valid = (Self::MIN_INCHES..=Self::MAX_INCHES).contains(&inches);
        is_valid.then_some(Self { inches }).ok_or(WidthError { inches })
    }

    /// The width in points.
    pub(crate) fn points(self) -> f64 {
        self.inches * POINTS_PER_INCH
    }
}

impl Default for Width {
    fn default() -> Self {
        Self::PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_out_of_range_are_refused() {
        assert_eq!(Width::from_inches(3.3), Ok(Width::COLUMN));
        for inches in [2.9, 20.1, 0.0, -3.3, f64::NAN, f64::INFINITY] {
            let error = Width::from_inches(inches).expect_err("no width");
            assert!(error.to_string().contains("use a width from 3 to 20 in"), "{error}");
        }
    }
}
