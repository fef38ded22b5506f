//! Loops over slices, compiled for the widest vector instructions of the processor they run on.
//!
//! A loop body is written once in plain Rust and compiled three times on x86-64: for AVX-512, for AVX2 and for what every
//! such processor has. Each operation of the body is an IEEE 754 operation on one number, none is reordered or fused, so
//! that all three give the same numbers to the last bit.
#![expect(unsafe_code, reason = "a function compiled for more than the baseline is called after asking the processor")]

/// A loop body with its arguments.
pub(crate) trait Kernel<Arguments> {
    /// What it gives.
    type Output;
    /// The body; has to be `#[inline(always)]`, or it is compiled for the baseline only.
    fn run(arguments: Arguments) -> Self::Output;
}

/// Runs a body with the widest instructions there are.
#[inline]
pub(crate) fn widest<Body: Kernel<Arguments>, Arguments>(arguments: Arguments) -> Body::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512<Body: Kernel<Arguments>, Arguments>(arguments: Arguments) -> Body::Output {
            Body::run(arguments)
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<Body: Kernel<Arguments>, Arguments>(arguments: Arguments) -> Body::Output {
            Body::run(arguments)
        }
        let has_avx2 = has_avx2();
        if has_avx2 && has_avx512() {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { avx512::<Body, Arguments>(arguments) };
        }
        if has_avx2 {
            // SAFETY: as above.
            return unsafe { avx2::<Body, Arguments>(arguments) };
        }
    }
    Body::run(arguments)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// The widest instructions there are, by name.
pub(crate) fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        return if has_avx512() { "avx512" } else { "avx2" };
    }
    "baseline"
}

/// Declares a function whose body runs with the widest vector instructions there are. References among its arguments
/// take the lifetime `'a`.
macro_rules! wide {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident<'a, T: Scalar>(
        $($argument:ident: $type:ty),+ $(,)?
    ) $body:block) => {
        $(#[$meta])*
        $visibility fn $name<'a, T: Scalar>($($argument: $type),+) {
            struct Body;
            impl<'a, T: Scalar> $crate::vector::Kernel<($($type,)+)> for Body {
                type Output = ();
                #[inline(always)]
                fn run(($($argument,)+): ($($type,)+)) $body
            }
            $crate::vector::widest::<Body, _>(($($argument,)+));
        }
    };
}
pub(crate) use wide;
