//! Loops over slices, compiled for the widest vector instructions of the processor.
//!
//! A loop body is written once in plain Rust and compiled three times on x86-64: for AVX-512, for AVX2 and for the
//! baseline. Each operation is an IEEE 754 operation on one number, and none is reordered or fused. So all three give
//! the same results to the last bit.

/// The name of the widest vector instructions of this processor.
#[must_use]
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        let has_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        return if has_avx512 { "avx512" } else { "avx2" };
    }
    "baseline"
}

/// The attribute of the crate `multiversion` with the list of instruction sets that all loops share, so that [`instructions`] can
/// name the set that was chosen.
///
/// Declares a function that is compiled for each of these instruction sets; a call uses the widest that the processor
/// has. Functions called in its body must be `#[inline(always)]`, otherwise they are compiled for the baseline only.
#[macro_export]
macro_rules! wide {
    ($($function:tt)+) => {
        #[$crate::multiversion::multiversion(targets(
            "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma",
            "x86_64+avx2+fma",
        ))]
        $($function)+
    };
}
pub use wide;
