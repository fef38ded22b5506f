//! Scalar types: float32 for training, float64 for comparison with exact references.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use biosweep_data::dataset::Scalar as Pixel;
use biosweep_numeric::random::Stream;
use tch::Kind;

/// A floating-point number that libtorch knows: f32 or f64. Buffers view the memory of tensors as numbers of this type, so no
/// other type may implement it.
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + Pixel
    + 'static
{
    /// The kind in libtorch.
    const KIND: Kind;

    /// The nearest value of this type.
    fn from_f64(number: f64) -> Self;
    /// The value in double precision.
    fn to_f64(self) -> f64;
    /// The square root.
    fn sqrt(self) -> Self;
    /// `self` · `factor` + `added`, rounded once.
    fn mul_add(self, factor: Self, added: Self) -> Self;
    /// 1/√x for x ≥ 1e-36, and a finite number for zero. In single precision the error is a few units in the last
    /// place. The function iterates, because the processor's own instruction takes longer than the rest of an update.
    fn inverse_sqrt(self) -> Self;
    /// 1/x for x in the normal range. In single precision the error is a few units in the last place.
    fn inverse(self) -> Self;
    /// e to the power of `self`.
    fn exp(self) -> Self;
    /// Fills with normal deviates of mean 0 and standard deviation `std`.
    fn fill_normal(numbers: &mut [Self], stream: &mut Stream, std: f64);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! scalar {
    ($type:ident, $kind:expr, $fill_normal:ident, $inverse_sqrt:path, $inverse:path) => {
        impl sealed::Sealed for $type {}

        impl Scalar for $type {
            const KIND: Kind = $kind;

            #[inline(always)]
            fn from_f64(number: f64) -> Self {
                number as Self
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, added: Self) -> Self {
                self.mul_add(factor, added)
            }

            #[inline(always)]
            fn inverse_sqrt(self) -> Self {
                $inverse_sqrt(self)
            }

            #[inline(always)]
            fn inverse(self) -> Self {
                $inverse(self)
            }

            fn exp(self) -> Self {
                self.exp()
            }

            fn fill_normal(numbers: &mut [Self], stream: &mut Stream, std: f64) {
                stream.$fill_normal(numbers, std);
            }
        }
    };
}

scalar!(f32, Kind::Float, fill_normal_f32, inverse_sqrt_by_iteration, inverse_by_iteration);
scalar!(f64, Kind::Double, fill_normal_f64, inverse_sqrt_f64, f64::recip);

#[inline(always)]
fn inverse_sqrt_f64(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { 1.0 / x.sqrt() }
}

/// An estimate from the bits of x (Kadlec 2010), refined by Newton's method.
#[inline(always)]
fn inverse_sqrt_by_iteration(x: f32) -> f32 {
    let y = f32::from_bits(0x5f1f_fff9 - (x.to_bits() >> 1));
    // The product x · y comes first, because y² may overflow if x is zero.
    let y = 0.703_952_2 * y * (-(x * y)).mul_add(y, 2.389_244_6);
    let half = 0.5 * x;
    let y = y * (-(half * y)).mul_add(y, 1.5);
    y * (-(half * y)).mul_add(y, 1.5)
}

/// An estimate from the bits of x, refined by Newton's method.
#[inline(always)]
fn inverse_by_iteration(x: f32) -> f32 {
    let y = f32::from_bits(0x7ef3_11c7 - x.to_bits());
    let y = y * (-x).mul_add(y, 2.0);
    let y = y * (-x).mul_add(y, 2.0);
    y * (-x).mul_add(y, 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_are_right_in_single_precision_over_their_whole_range() {
        let (mut of_root, mut plain) = (0.0_f64, 0.0_f64);
        for exponent in -350..350 {
            for place in 0..50 {
                let x = (10_f64.powf(f64::from(exponent) / 10.0) * (1.0 + f64::from(place) / 60.0)) as f32;
                let exact = f64::from(x);
                of_root = of_root.max((f64::from(x.inverse_sqrt()) * exact.sqrt() - 1.0).abs());
                plain = plain.max((f64::from(x.inverse()) * exact - 1.0).abs());
            }
        }
        assert!(of_root < 3e-7 && plain < 3e-7, "{of_root} {plain}");
        assert!(0.0_f32.inverse_sqrt().is_finite() && 0.0_f64.inverse_sqrt().is_finite());
    }
}
