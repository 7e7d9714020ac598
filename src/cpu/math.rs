//! Sums in f64, and transcendental functions in forms that compilers turn into vector instructions.

/// Running sums side by side: additions that wait for each other cannot be vectorised.
const LANES: usize = 8;

/// The sum of `term` over a row.
pub fn sum(row: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += term(v.into());
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&v| term(v.into())).sum::<f64>()
}

/// The dot product of two rows of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f64::from(a) * f64::from(b);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    lanes.iter().sum::<f64>() + rest.sum::<f64>()
}

/// The highest value of a row.
pub fn highest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// e^x to about 1 ulp; 0 below -87, e^88 above 88.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves no digits behind the point: the nearest whole number, also in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    // Written so that NaN stays NaN.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let clamped = if clamped > 88.0 { 88.0 } else { clamped };
    let whole = clamped * std::f32::consts::LOG2_E + WHOLE;
    let n = whole - WHOLE;
    // ln 2 in two parts; the first, 355 / 512, has so few digits that n times it is exact.
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    // Taylor's series; the next term is below 6e-9 for |r| <= ln(2) / 2.
    let terms = [1.984_127e-4, 1.388_888_9e-3, 8.333_333e-3, 4.166_666_7e-2, 1.666_666_7e-1, 0.5, 1.0, 1.0];
    let series = terms.iter().fold(0.0, |sum, term| sum * r + term);
    let power = f32::from_bits(whole.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { series * power }
}

/// x Φ(x) by the error function, within 1.3e-7 and half a unit in the last place.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    // erfc(a) = e^(-a^2) p(t) with t = 1 / (1 + 0.4 a), as in Abramowitz and Stegun 7.1.26 with a term more;
    // coefficients fitted for the least |x erfc|.
    let a = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.4 * a);
    let terms = [-0.199_519_59, 0.706_653_65, -0.367_737_92, 0.466_441_07, 0.162_263_44, 0.231_899_41];
    let p = terms.iter().fold(0.0, |sum, term| (sum + term) * t);
    let tail = x * (0.5 * p * exp(-(a * a)));
    if x > 0.0 { x - tail } else { tail }
}

/// `x Φ(x)` with Φ approximated by tanh: 0.5 (1 + tanh(u)) = 1 / (1 + e^(-2u)).
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    x / (1.0 + exp(-1.595_769_1 * (x + 0.044_715 * x * x * x)))
}

/// `x sigmoid(1.702 x)`.
#[inline(always)]
pub fn quick_gelu(x: f32) -> f32 {
    x / (1.0 + exp(-1.702 * x))
}
