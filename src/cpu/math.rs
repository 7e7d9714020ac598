//! Rows of numbers: sums in f64, and transcendental functions in forms that compilers turn into vector instructions.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

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

/// e^x to about 1 ulp; 0 below -87, e^88 above 88.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves no digits behind the point: the nearest whole number, also in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
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
