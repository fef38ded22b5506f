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
    /// e to the power of `self`.
    fn exp(self) -> Self;
    /// Fills with normal deviates of mean 0 and standard deviation `std`.
    fn fill_normal(numbers: &mut [Self], stream: &mut Stream, std: f64);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! scalar {
    ($type:ident, $kind:expr, $fill_normal:ident) => {
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

            fn exp(self) -> Self {
                self.exp()
            }

            fn fill_normal(numbers: &mut [Self], stream: &mut Stream, std: f64) {
                stream.$fill_normal(numbers, std);
            }
        }
    };
}

scalar!(f32, Kind::Float, fill_normal_f32);
scalar!(f64, Kind::Double, fill_normal_f64);
