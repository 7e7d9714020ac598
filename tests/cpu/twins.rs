//! Twins against naive loops in f64.

use tome_wgpu::cpu;
use tome_wgpu::kernels::matmul::Activation;
use tome_wgpu::kernels::{attention, embed_patches, key_metric, layer_norm, matmul, pool};

use crate::common::{Random, Tol, close, same};

/// A few roundings of a sum of values around 1.
const SUMS: Tol = Tol { abs: 2e-6, rel: 2e-6 };

fn as_f32(values: impl Iterator<Item = f64>) -> Vec<f32> {
    values.map(|v| v as f32).collect()
}

/// The complementary error function: by a series in the middle, by a continued fraction outside.
fn erfc(x: f64) -> f64 {
    use std::f64::consts::{FRAC_2_SQRT_PI, PI};
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x > 2.5 {
        let fraction = (1..100).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
        return (-x * x).exp() / PI.sqrt() / fraction;
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..100 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    1.0 - sum * FRAC_2_SQRT_PI
}

fn activate(activation: Activation, v: f64) -> f64 {
    match activation {
        Activation::Gelu => 0.5 * v * erfc(-v * std::f64::consts::FRAC_1_SQRT_2),
        Activation::GeluTanh => {
            0.5 * v * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v.powi(3))).tanh())
        }
        Activation::QuickGelu => v / (1.0 + (-1.702 * v).exp()),
        Activation::Silu => v / (1.0 + (-v).exp()),
        Activation::Relu => v.max(0.0),
        Activation::Sigmoid => 1.0 / (1.0 + (-v).exp()),
        _ => v,
    }
}

/// All of them.
fn activations() -> impl Iterator<Item = Activation> {
    (0..=Activation::Sigmoid.0).map(Activation)
}

#[test]
fn matmul_is_the_naive_product_and_what_follows() {
    let mut random = Random(1);
    // One row and few elements take other paths in the library than tiles do.
    for (rows, inner, columns) in
        [(1, 4, 1), (1, 64, 10), (5, 8, 7), (17, 100, 33), (197, 64, 192), (33, 1030, 20)]
    {
        let x = random.floats(rows * inner);
        let w = random.floats(columns * inner);
        let [bias, scale] = [0, 1].map(|_| random.floats(columns));
        let [gate, residual] = [0, 1].map(|_| random.floats(rows * columns));
        for activation in activations() {
            for parts in 0..16 {
                let [bias, scale] =
                    [(1, &bias), (2, &scale)].map(|(bit, v)| (parts & bit > 0).then_some(&v[..]));
                let [gate, residual] =
                    [(8, &gate), (4, &residual)].map(|(bit, v)| (parts & bit > 0).then_some(&v[..]));
                let params = matmul::Params { rows, inner, columns, activation, ..Default::default() };
                let mut y = vec![f32::NAN; (rows * columns) as usize];
                cpu::matmul(&params, &x, &w, bias, scale, gate, residual, &mut y);

                let [inner, columns] = [inner, columns].map(|v| v as usize);
                let naive = |at: usize| {
                    let (row, column) = (at / columns, at % columns);
                    let products =
                        (0..inner).map(|k| f64::from(x[row * inner + k]) * f64::from(w[column * inner + k]));
                    let v = products.sum::<f64>() + bias.map_or(0.0, |v| v[column].into());
                    let v = activate(activation, v) * scale.map_or(1.0, |v| v[column].into());
                    let v = v * gate.map_or(1.0, |v| f64::from(v[at]));
                    v + residual.map_or(0.0, |v| f64::from(v[at]))
                };
                let tol = Tol { abs: 5e-8 * inner as f32 + 1e-6, rel: 1e-6 };
                close(format!("{params:?} parts {parts}"), &y, &as_f32((0..y.len()).map(naive)), tol);
            }
        }
    }
}

#[test]
fn activations_are_right_everywhere() {
    let x: Vec<f32> =
        (-3000..=3000).map(|i| i as f32 / 200.0).chain([-1e30, -100.0, 100.0, 1e30, 0.0, -0.0]).collect();
    for activation in activations() {
        let params =
            matmul::Params { rows: x.len() as u32, inner: 1, columns: 1, activation, ..Default::default() };
        let mut y = vec![f32::NAN; x.len()];
        cpu::matmul(&params, &x, &[1.0], None, None, None, None, &mut y);
        let want = as_f32(x.iter().map(|&v| activate(activation, v.into())));
        close(format!("{activation:?}"), &y, &want, Tol { abs: 2e-7, rel: 2e-7 });

        cpu::matmul(&params, &vec![f32::NAN; x.len()], &[1.0], None, None, None, None, &mut y);
        assert!(y.iter().all(|v| v.is_nan()), "{activation:?} of NaN");
    }
}

#[test]
fn layer_norm_is_the_naive_one_also_far_from_zero() {
    let mut random = Random(2);
    for (rows, channels, centre) in [(1, 4, 0.0), (3, 36, 0.0), (5, 384, 3.0), (2, 768, 1000.0)] {
        let x: Vec<f32> = random.floats(rows * channels).iter().map(|v| v + centre).collect();
        let (weight, bias) = (random.floats(channels), random.floats(channels));
        let mut y = vec![f32::NAN; x.len()];
        let params = layer_norm::Params { rows, channels, eps: 1e-6, ..Default::default() };
        cpu::layer_norm(&params, &x, Some(&weight), Some(&bias), &mut y);

        let want = x.chunks_exact(channels as usize).flat_map(|row| {
            let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / f64::from(channels);
            let variance =
                row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / f64::from(channels);
            let scale = (variance + 1e-6).sqrt().recip();
            let value = move |((v, w), b): ((&f32, &f32), &f32)| {
                (f64::from(*v) - mean) * scale * f64::from(*w) + f64::from(*b)
            };
            row.iter().zip(&weight).zip(&bias).map(value).collect::<Vec<f64>>()
        });
        // The mean is rounded to f32 before it is taken away.
        let tol = Tol { abs: 1e-6 + centre * 1e-7, rel: 1e-6 };
        close(format!("{rows} x {channels}"), &y, &as_f32(want), tol);
    }
}

#[test]
fn attention_is_the_naive_one_for_any_layout_and_size() {
    let mut random = Random(3);
    // 64 queries are answered together.
    for (batch, tokens, heads, width, stride, starts) in [
        (1, 1, 1, 4, 4, [0, 0, 0]),
        (2, 5, 2, 8, 48, [0, 16, 32]),
        (1, 64, 3, 16, 144, [0, 48, 96]),
        (2, 65, 2, 12, 100, [28, 0, 56]),
        (1, 197, 1, 64, 64, [0, 64, 128]),
    ] {
        let params = attention::Params {
            batch,
            queries: tokens,
            tokens,
            heads,
            head_width: width,
            q_image: tokens * stride,
            q_stride: stride,
            stride,
            q_start: starts[0],
            k_start: starts[1],
            v_start: starts[2],
            scale: 0.7,
            has_size: 0,
        };
        let qkv = random.floats(128 + batch * tokens * stride);
        let sizes = random.sizes(batch * tokens);
        for size in [None, Some(&sizes[..])] {
            let mut y = vec![f32::NAN; (batch * tokens * heads * width) as usize];
            cpu::attention(&params, &qkv, &qkv, &qkv, size, &mut y);

            let [tokens, heads, width, stride] = [tokens, heads, width, stride].map(|v| v as usize);
            let starts = starts.map(|v| v as usize);
            let at = |which: usize, row: usize, head: usize, i: usize| {
                f64::from(qkv[starts[which] + row * stride + head * width + i])
            };
            let naive = |place: usize| {
                let (i, head, query) = (place % width, place / width % heads, place / width / heads);
                let item = query / tokens * tokens;
                let share = |key: usize| {
                    let score: f64 =
                        (0..width).map(|i| at(0, query, head, i) * at(1, item + key, head, i)).sum();
                    (score * f64::from(params.scale)).exp()
                        * size.map_or(1.0, |size| f64::from(size[item + key]))
                };
                let total: f64 = (0..tokens).map(share).sum();
                (0..tokens).map(|key| share(key) * at(2, item + key, head, i)).sum::<f64>() / total
            };
            close(format!("{params:?}"), &y, &as_f32((0..y.len()).map(naive)), SUMS);
        }
    }
}

#[test]
fn embed_patches_is_a_convolution_behind_the_prefix() {
    let mut random = Random(4);
    for (batch, planes, [height, width], [patch_height, patch_width], prefix) in
        [(1, 3, [8, 8], [4, 4], 1), (2, 1, [7, 11], [3, 5], 0), (2, 3, [6, 9], [2, 3], 5)]
    {
        let channels = 8;
        let params = embed_patches::Params {
            batch,
            image_channels: planes,
            height,
            width,
            patch_height,
            patch_width,
            prefix,
            channels,
            ..Default::default()
        };
        let values = params.patch_values();
        let padded = values.next_multiple_of(4) as usize;
        let image = random.floats(batch * planes * height * width);
        let w = random.floats(channels * padded as u32);
        let (bias, position) = (random.floats(channels), random.floats(params.patches() * channels));
        let first = random.floats(prefix * channels);
        let tokens = (prefix + params.patches()) as usize;
        let mut y = vec![f32::NAN; batch as usize * tokens * channels as usize];
        let first_tokens = (prefix > 0).then_some(&first[..]);
        cpu::embed_patches(&params, &image, None, &w, &bias, &position, first_tokens, &mut y);

        // Bytes give what the same values give, normalised and channel by channel.
        let bytes: Vec<u8> = (0..image.len()).map(|_| random.below(256) as u8).collect();
        let normal = [0.5, 0.25, 0.75, 0.125, 0.5, 0.25];
        let normal: Vec<f32> = [&normal[..planes as usize], &normal[3..][..planes as usize]].concat();
        let pixels = (height * width) as usize;
        let floats: Vec<f32> = (0..image.len())
            .map(|at| {
                let (plane, pixel) =
                    (at / pixels % planes as usize, at / pixels / planes as usize * pixels + at % pixels);
                let byte = bytes[pixel * planes as usize + plane];
                (f32::from(byte) / 255.0 - normal[plane]) / normal[planes as usize + plane]
            })
            .collect();
        let (mut of_bytes, mut of_floats) = (y.clone(), y.clone());
        cpu::embed_patches(&params, &floats, None, &w, &bias, &position, first_tokens, &mut of_floats);
        cpu::embed_patches(&params, &bytes, Some(&normal), &w, &bias, &position, first_tokens, &mut of_bytes);
        same(format!("{params:?}"), &of_bytes, &of_floats);

        let [planes, height, width, prefix, channels] =
            [planes, height, width, prefix, channels].map(|v| v as usize);
        let [patch_height, patch_width] = [patch_height, patch_width].map(|v| v as usize);
        let naive = |at: usize| {
            let (channel, token, item) = (at % channels, at / channels % tokens, at / channels / tokens);
            let Some(patch) = token.checked_sub(prefix) else {
                return first[token * channels + channel].into();
            };
            let (top, left) =
                (patch / (width / patch_width) * patch_height, patch % (width / patch_width) * patch_width);
            let product = |i: usize| {
                let (x, line, plane) =
                    (i % patch_width, i / patch_width % patch_height, i / patch_width / patch_height);
                let pixel = ((item * planes + plane) * height + top + line) * width + left + x;
                f64::from(image[pixel]) * f64::from(w[channel * padded + i])
            };
            let projected: f64 = (0..values as usize).map(product).sum();
            projected + f64::from(bias[channel]) + f64::from(position[patch * channels + channel])
        };
        close(format!("{params:?}"), &y, &as_f32((0..y.len()).map(naive)), SUMS);
    }
}

#[test]
fn pool_takes_a_token_or_a_mean() {
    let x: Vec<f32> = (0..12).map(|v| v as f32).collect();
    let size = [1.0, 2.0, 3.0];
    let pooled = |first, mode| {
        let mut y = [0.0; 4];
        cpu::pool(&pool::Params { batch: 1, tokens: 3, channels: 4, first, mode }, &x, Some(&size), &mut y);
        y
    };
    assert_eq!(pooled(0, pool::PoolMode::Token), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(pooled(1, pool::PoolMode::Mean), [6.0, 7.0, 8.0, 9.0]);
    assert_eq!(pooled(1, pool::PoolMode::MeanBySize), [6.4, 7.4, 8.4, 9.4]);
}

#[test]
fn key_metric_is_a_unit_mean_or_zero() {
    let keys = [
        [1.0, 0.0, 0.0, 0.0, 5.0, 0.0, 8.0, 0.0],
        [1.0; 8],
        [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0],
        [f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, f32::INFINITY, 0.0, 0.0, 0.0, 0.0],
        [1e-25; 8],
        [1e25; 8],
    ];
    let params = key_metric::Params { rows: 7, heads: 2, head_width: 4, stride: 8, start: 0, unit: 1 };
    let mut metric = [f32::NAN; 28];
    cpu::key_metric(&params, keys.as_flattened(), &mut metric);
    let want = [[0.6, 0.0, 0.8, 0.0], [0.5; 4], [0.0; 4], [0.0; 4], [0.0; 4], [0.0; 4], [0.0; 4]];
    assert_eq!(metric, want.as_flattened());
}

#[test]
#[should_panic(expected = "y [2, 4] needs 8 elements and has 7")]
fn a_short_slice_panics() {
    cpu::layer_norm(
        &layer_norm::Params { rows: 2, channels: 4, eps: 1e-6, ..Default::default() },
        &[0.0; 8],
        None,
        None,
        &mut [0.0; 7],
    );
}

#[test]
#[should_panic(expected = "in 27 values")]
fn a_short_strided_slice_panics() {
    let qkv = [0.0; 31];
    let params = attention::Params { stride: 12, ..attention::Params::fused(1, 3, 1, 4) };
    cpu::attention(&params, &qkv, &qkv, &qkv, None, &mut [0.0; 12]);
}
