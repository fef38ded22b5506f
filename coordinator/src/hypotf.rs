//! The C function `hypotf`. The reader of fonts calls it, and since glibc 2.35 the linker binds it to a new version of that symbol.
//! With a definition here, a program that was built on a newer system also starts with glibc 2.34.
#![expect(unsafe_code, reason = "a C function is defined by its name")]

/// √(x² + y²) as glibc computes it: the squares of two `f32` and their sum are finite in `f64`.
#[unsafe(no_mangle)]
extern "C" fn hypotf(x: f32, y: f32) -> f32 {
    if x.is_infinite() || y.is_infinite() {
        return f32::INFINITY;
    }
    let [x, y] = [x, y].map(f64::from);
    #[expect(clippy::cast_possible_truncation, reason = "the result is an f32")]
    let length = (x * x + y * y).sqrt() as f32;
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_vectors() {
        assert_eq!(hypotf(3.0, -4.0), 5.0);
        assert_eq!(hypotf(f32::MAX, 0.0), f32::MAX);
        assert_eq!(hypotf(3e-45, 4e-45), 5.6e-45);
        assert_eq!(hypotf(f32::MAX, f32::MAX), f32::INFINITY);
        assert_eq!(hypotf(f32::NAN, f32::NEG_INFINITY), f32::INFINITY);
        assert!(hypotf(f32::NAN, 1.0).is_nan());
    }
}
