//! Prices at which a multiple of sigma is reached, exact to the last bit.

/// `ln(price / reference) / sigma`: the move in multiples of sigma. All three positive and finite.
#[inline]
pub fn log_multiple(price: f64, reference: f64, sigma: f64) -> f64 {
    (price / reference).ln() / sigma
}

/// The price nearest to `reference` whose [`log_multiple`] is at or beyond `multiple`.
///
/// For a positive multiple the smallest price with `log_multiple >= multiple`, for a negative one the
/// largest with `log_multiple <= multiple`. So comparing a price with the threshold decides exactly as
/// computing its multiple does, without the logarithm. Infinite, or 0, when no price reaches it.
pub fn threshold_price(reference: f64, sigma: f64, multiple: f64) -> f64 {
    let reached = |price: f64| {
        let z = log_multiple(price, reference, sigma);
        if multiple >= 0.0 { z >= multiple } else { z <= multiple }
    };
    let estimate = reference * (multiple * sigma).exp();
    if !(estimate.is_finite() && estimate > 0.0) {
        return if multiple >= 0.0 { f64::INFINITY } else { 0.0 };
    }
    // The estimate is off by a few units in the last place, more for tiny sigmas: widen until it is
    // bracketed, then bisect on the bits, which order as positive floats do.
    let bits = estimate.to_bits();
    let mut width = 64_u64;
    let (mut miss, mut hit) = loop {
        let (below, above) = (bits.saturating_sub(width), bits.saturating_add(width));
        let (miss, hit) = if multiple >= 0.0 { (below, above) } else { (above, below) };
        if !reached(f64::from_bits(miss)) && reached(f64::from_bits(hit)) {
            break (miss, hit);
        }
        if width > 1 << 48 {
            return estimate;
        }
        width *= 16;
    };
    while miss.abs_diff(hit) > 1 {
        let middle = miss.midpoint(hit);
        if reached(f64::from_bits(middle)) { hit = middle } else { miss = middle }
    }
    f64::from_bits(hit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_reaches_and_its_neighbour_does_not() {
        for reference in [0.0137, 1.0, 142.62, 627_400.0] {
            for sigma in [0.0002, 0.009, 0.02956, 0.3] {
                for multiple in [-10.0, -3.0, -2.5, 2.5, 3.0, 6.0, 10.0] {
                    let p = threshold_price(reference, sigma, multiple);
                    let inside = if multiple > 0.0 { p.next_down() } else { p.next_up() };
                    assert!((log_multiple(p, reference, sigma) - multiple) * multiple.signum() >= 0.0);
                    assert!((log_multiple(inside, reference, sigma) - multiple) * multiple.signum() < 0.0);
                }
            }
        }
    }

    #[test]
    fn unreachable_multiples_have_no_price() {
        assert!(threshold_price(100.0, 100.0, 10.0).is_infinite());
        assert_eq!(threshold_price(100.0, 100.0, -10.0).to_bits(), 0);
    }
}
