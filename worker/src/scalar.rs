//! The two kinds of numbers a network is made of: float32 to train, float64 to check against exact references.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use tch::Kind;

use crate::data::dataset::Scalar as Pixel;
use crate::random::Stream;

/// A floating-point number that libtorch knows.
pub trait Scalar:
    Copy
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
    /// What libtorch calls it.
    const KIND: Kind;

    /// The nearest number of this kind.
    fn of(number: f64) -> Self;
    /// The number in double precision.
    fn to_f64(self) -> f64;
    /// The square root.
    fn sqrt(self) -> Self;
    /// e to its power.
    fn exp(self) -> Self;
    /// Fills with normal deviates of mean 0 and this standard deviation.
    fn fill_normal(numbers: &mut [Self], stream: &mut Stream, std: f64);
}

macro_rules! scalar {
    ($type:ident, $kind:expr, $fill_normal:ident) => {
        impl Scalar for $type {
            const KIND: Kind = $kind;

            fn of(number: f64) -> Self {
                number as Self
            }

            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn sqrt(self) -> Self {
                self.sqrt()
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
