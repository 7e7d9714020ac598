//! Rows of numbers: sums in f64, and transcendental functions in forms that compilers turn into vector instructions.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_PI, LOG2_E};

use crate::kernels::NormKind;

/// Running sums side by side: additions that wait for each other cannot be vectorised.
const LANES: usize = 16;

/// Compiles functions for every width of vector registers and calls them for the widest of this machine. The width
/// does not change a digit: additions keep their order and are never fused with multiplications.
macro_rules! wide {
    ($($(#[$doc:meta])* pub fn $name:ident($($argument:ident: $type:ty),*) $(-> $output:ty)? $body:block)*) => {$(
        $(#[$doc])*
        pub fn $name<'a>($($argument: $type),*) $(-> $output)? {
            struct Call<'a>($($type),*);
            impl<'a> pulp::WithSimd for Call<'a> {
                type Output = wide!(@output $($output)?);

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
                    let Call($($argument),*) = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Call($($argument),*))
        }
    )*};
    (@output $output:ty) => { $output };
    (@output) => { () };
}

wide! {
    /// The sum of the squares of a row.
    pub fn squares(row: &'a [f32]) -> f64 {
        sum(row, |v| v * v)
    }

    /// The mean of rows that lie behind each other, each as long as `mean`; sums are in f64.
    pub fn mean_of_rows(rows: &'a [f32], sums: &'a mut [f64], mean: &'a mut [f32]) {
        sums.fill(0.0);
        for row in rows.chunks_exact(mean.len()) {
            add(row, 1.0, sums);
        }
        divide(sums, (rows.len() / mean.len()) as f64, mean);
    }

    /// Adds a row, weighted.
    pub fn add_row(row: &'a [f32], weight: f64, sums: &'a mut [f64]) {
        add(row, weight, sums);
    }

    /// Sums over a number.
    pub fn divide_row(sums: &'a [f64], by: f64, y: &'a mut [f32]) {
        divide(sums, by, y);
    }

    /// The highest value of a row and the first place where it stands; none where there is only NaN and -∞.
    pub fn first_highest(row: &'a [f32]) -> Option<(f32, usize)> {
        let highest = highest(row);
        let (chunks, _) = row.as_chunks::<LANES>();
        let stands = |chunk: &[f32; LANES]| chunk.iter().fold(false, |any, &v| any | (v == highest));
        let skip = chunks.iter().position(stands).unwrap_or(chunks.len()) * LANES;
        let place = row[skip..].iter().position(|&v| v == highest)?;
        (highest > f32::NEG_INFINITY).then_some((highest, skip + place))
    }

    /// y = (x - mean) / sqrt(variance + eps); an RMSNorm takes the mean for 0
    pub fn normalise(kind: NormKind, x: &'a [f32], eps: f32, y: &'a mut [f32]) {
        let mean = if kind == NormKind::Rms { 0.0 } else { sum(x, |v| v) / x.len() as f64 };
        let variance = sum(x, |v| (v - mean) * (v - mean)) / x.len() as f64;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        let (mean, scale) = (mean as f32, scale as f32);
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale);
    }

    /// The sum of x where it is at least the margin, and of e^(x - margin) - 1 where it is below.
    pub fn gains(row: &'a [f32], margin: f32) -> f64 {
        sum(row, |x| {
            let below = f64::from(exp(x as f32 - margin)) - 1.0;
            if x >= f64::from(margin) { x } else { below }
        })
    }

    /// Scores to shares that sum to 1.
    pub fn softmax(row: &'a mut [f32]) {
        let highest = highest(row);
        row.iter_mut().for_each(|v| *v = exp(*v - highest));
        let share = (1.0 / sum(row, |v| v)) as f32;
        row.iter_mut().for_each(|v| *v *= share);
    }

    /// x Φ(x) by the error function, within 1.3e-7 and half a unit in the last place.
    pub fn gelu(row: &'a mut [f32]) {
        for x in row {
            let tail = *x * 0.5 * erfc(x.abs() * FRAC_1_SQRT_2);
            *x = if *x > 0.0 { *x - tail } else { tail };
        }
    }

    /// x Φ(x) with Φ approximated by tanh: 0.5 (1 + tanh(u)) = 1 / (1 + e^(-2u)).
    pub fn gelu_tanh(row: &'a mut [f32]) {
        row.iter_mut().for_each(|x| *x /= 1.0 + exp(-1.595_769 * (*x + 0.044_715 * *x * *x * *x)));
    }

    /// x sigmoid(1.702 x).
    pub fn quick_gelu(row: &'a mut [f32]) {
        row.iter_mut().for_each(|x| *x /= 1.0 + exp(-1.702 * *x));
    }

    /// x sigmoid(x).
    pub fn silu(row: &'a mut [f32]) {
        row.iter_mut().for_each(|x| *x /= 1.0 + exp(-*x));
    }

    /// Turns pairs of neighbours by the angles that a position and the pairs' turns make.
    pub fn turn(row: &'a mut [f32], position: &'a [f32], turns: &'a [f32]) {
        for (pair, turn) in row.as_chunks_mut::<2>().0.iter_mut().zip(turns.as_chunks::<2>().0) {
            let [sin, cos] = sin_cos(position[0] * turn[0] + position[1] * turn[1]);
            *pair = [pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin];
        }
    }

    /// 1 / (1 + e^(-x)).
    pub fn sigmoid(row: &'a mut [f32]) {
        row.iter_mut().for_each(|x| *x = 1.0 / (1.0 + exp(-*x)));
    }
}

#[inline(always)]
fn add(row: &[f32], weight: f64, sums: &mut [f64]) {
    sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += weight * f64::from(v));
}

#[inline(always)]
fn divide(sums: &[f64], by: f64, y: &mut [f32]) {
    y.iter_mut().zip(sums).for_each(|(y, sum)| *y = (sum / by) as f32);
}

/// The sum of `term` over a row.
#[inline(always)]
fn sum(row: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += term(v.into());
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&v| term(v.into())).sum::<f64>()
}

/// The highest value of a row.
#[inline(always)]
fn highest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let higher = |a: f32, b: f32| if b > a { b } else { a };
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &v)| *lane = higher(*lane, v));
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, higher)
}

/// Adding it leaves no digits behind the point: the nearest whole number, also in the lowest bits.
const WHOLE: f32 = 12_582_912.0;

/// Sine and cosine of an angle, within 1.5e-7 up to 2^13.
#[inline(always)]
fn sin_cos(x: f32) -> [f32; 2] {
    let whole = x * FRAC_2_PI + WHOLE;
    let n = whole - WHOLE;
    // Half of pi in three parts, the first of so few digits that a multiple of it is exact.
    let r = ((x - n * 1.570_312_5) - n * 4.837_513e-4) - n * 7.549_79e-8;
    // Polynomials of the Cephes library for |r| <= pi / 4.
    let z = r * r;
    let s = r + r * z * (-1.666_665_5e-1 + z * (8.332_161e-3 - z * 1.951_529_6e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166_664_6e-2 + z * (-1.388_731_6e-3 + z * 2.443_315_7e-5));
    let quarter = whole.to_bits();
    let odd = quarter & 1 != 0;
    let (sin, cos) = (if odd { c } else { s }, if odd { s } else { c });
    let negative = |bits: u32| (bits & 2) << 30;
    let signed = |v: f32, bits: u32| f32::from_bits(v.to_bits() ^ negative(bits));
    [signed(sin, quarter), signed(cos, quarter.wrapping_add(1))]
}

/// e^x to about 1 ulp; 0 below -87, e^88 above 88.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Taylor's series; the next term is below 6e-9 for |r| <= ln(2) / 2.
    const TERMS: [f32; 8] =
        [1.984_127e-4, 1.388_888_9e-3, 8.333_333e-3, 4.166_666_7e-2, 1.666_666_7e-1, 0.5, 1.0, 1.0];
    // Written so that NaN stays NaN.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let clamped = if clamped > 88.0 { 88.0 } else { clamped };
    let whole = clamped * LOG2_E + WHOLE;
    let n = whole - WHOLE;
    // ln 2 in two parts; the first, 355 / 512, has so few digits that n times it is exact.
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let series = TERMS.iter().fold(0.0, |sum, term| sum * r + term);
    let power = f32::from_bits(whole.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { series * power }
}

/// The complementary error function for a >= 0.
#[inline(always)]
fn erfc(a: f32) -> f32 {
    // e^(-a^2) p(t) with t = 1 / (1 + 0.4 a), as in Abramowitz and Stegun 7.1.26 with a term more; coefficients
    // fitted for the least a erfc(a).
    const TERMS: [f32; 6] =
        [-0.199_519_59, 0.706_653_65, -0.367_737_92, 0.466_441_07, 0.162_263_44, 0.231_899_41];
    let t = 1.0 / (1.0 + 0.4 * a);
    TERMS.iter().fold(0.0, |sum, term| (sum + term) * t) * exp(-(a * a))
}
