//! Linear layers, norms, attention, images and pooling by hand.

use tome_wgpu::kernels::matmul::Activation;
use tome_wgpu::kernels::{NormKind, attention, embed_patches, layer_norm, matmul, norm_heads, pool};
use tome_wgpu::reference;

use crate::common::{Random, Tol, close, set};

/// A unit in the last place.
const ROUNDED: Tol = Tol { abs: 0.0, rel: 1.2e-7 };

#[test]
fn embed_patches_by_hand() {
    // One image of 3 x 5 in patches of 1 x 2: 6 patches, the last column is left over. Two channels, one prefix token.
    let params = embed_patches::Params::pictures(1, [1, 3, 5], [1, 2], 1, 2);
    let image: Vec<f32> = (0..15).map(|v| v as f32).collect();
    // Rows are filled up to four values; what fills them is not read.
    let w = [1.0, 10.0, f32::NAN, f32::NAN, -1.0, 1.0, f32::NAN, f32::NAN];
    let base: Vec<f32> = (0..7).flat_map(|token| [100.0 * token as f32, 0.5]).collect();
    let mut y = [f32::NAN; 14];
    reference::embed_patches(&params, &image, &w, &base, None, &mut y);
    // The patches are 0 1, 2 3, 5 6, 7 8, 10 11, 12 13.
    let want =
        [[0.0, 0.5], [110.0, 1.5], [232.0, 1.5], [365.0, 1.5], [487.0, 1.5], [620.0, 1.5], [742.0, 1.5]];
    assert_eq!(y, want.as_flattened());
}

#[test]
fn bytes_are_normalised_channel_by_channel() {
    // Two images of one patch of 1 x 2 pixels with two channels each.
    let params = embed_patches::Params::pictures(2, [2, 1, 2], [1, 2], 0, 1);
    // Pixel by pixel: (0, 255), (51, 102), then (255, 0), (255, 0). Divided by 255: (0, 1), (0.2, 0.4).
    let bytes = [0u8, 255, 51, 102, 255, 0, 255, 0];
    // Means 0 and 0.5, deviations 1 and 0.25: channel 0 is 0, 0.2, channel 1 is 2, -0.4; then 1, 1 and -2, -2.
    let normal = [0.0, 0.5, 1.0, 0.25];
    let mut y = [f32::NAN; 2];
    reference::embed_patches(&params, &bytes, &[1.0, 10.0, 100.0, 1000.0], &[7.0], Some(&normal), &mut y);
    // 7 + 0 + 2 + 200 - 400, and 7 + 1 + 10 - 200 - 2000.
    close("bytes", &y, &[-191.0, -2182.0], ROUNDED);
}

#[test]
fn layer_norm_by_hand() {
    // Means 2 and 10, variances 1 and 4.
    let x = [1.0, 3.0, 1.0, 3.0, 8.0, 8.0, 12.0, 12.0];
    let params = set!(layer_norm::Params::default(); rows: 2, channels: 4, eps: 0.0);
    let normed = |params, weight, bias| {
        let mut y = [f32::NAN; 8];
        reference::layer_norm(&params, &x, weight, bias, None, &mut y);
        y
    };
    assert_eq!(normed(params, None, None), [-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0]);
    let (weight, bias) = ([1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]);
    let want = [9.0, 22.0, 27.0, 44.0, 9.0, 18.0, 33.0, 44.0];
    assert_eq!(normed(params, Some(&weight), Some(&bias)), want);
    // The squares' means are 5 and 104, and 4 more or 40 more are 3 and 12 squared; rows of 1 and of 2 are added.
    let rms = set!(params; kind: NormKind::Rms, residual_rows: 2);
    let mut y = [f32::NAN; 8];
    let residual = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0];
    let halves = [0.5; 4];
    reference::layer_norm(&set!(rms; rows: 1, eps: 4.0), &x, Some(&[3.0; 4]), None, Some(&residual), &mut y);
    assert_eq!(y[..4], [2.0, 4.0, 2.0, 4.0]);
    reference::layer_norm(
        &set!(rms; rows: 1, eps: 40.0),
        &x[4..],
        Some(&[3.0; 4]),
        Some(&halves),
        None,
        &mut y,
    );
    assert_eq!(y[..4], [2.5, 2.5, 3.5, 3.5]);
    // 1 + 3 = 2 squared.
    assert_eq!(normed(set!(params; eps: 3.0), None, None)[..4], [-0.5, 0.5, -0.5, 0.5]);
}

#[test]
fn norm_heads_by_hand() {
    // A row of two heads of q, two of k, and values that stay.
    let mut x = [1.0, 3.0, 8.0, 12.0, 0.0, 2.0, 5.0, 1.0, 7.0, 9.0];
    let params =
        set!(norm_heads::Params::default(); rows: 1, parts: 2, heads: 2, head_width: 2, stride: 10, eps: 0.0);
    // Every head becomes -1, 1 or 1, -1.
    reference::norm_heads(&params, Some(&[1.0, 2.0, 3.0, 4.0]), Some(&[0.0, 0.0, 10.0, 20.0]), None, &mut x);
    assert_eq!(x, [-1.0, 2.0, -1.0, 2.0, 7.0, 24.0, 13.0, 16.0, 7.0, 9.0]);
}

#[test]
fn matmul_by_hand() {
    let (x, w) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 1.0, 1.0, -1.0, 2.0]);
    let mut params = set!(matmul::Params::default(); rows: 2, inner: 2, columns: 3);
    let mut y = [f32::NAN; 6];
    reference::matmul(&params, &x, &w, None, None, None, None, &mut y);
    assert_eq!(y, [1.0, 3.0, 3.0, 3.0, 7.0, 5.0]);

    // With the bias 2, -1, 3 and 4, 3, 5; by the gate 2, 0, 6 and 8, 9, 5.
    params.activation = Activation::Relu;
    let (bias, gate) = ([1.0, -4.0, 0.0], [1.0, 9.0, 2.0, 2.0, 3.0, 1.0]);
    let residual = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0];
    reference::matmul(&params, &x, &w, Some(&bias), Some(&gate), Some(&residual), None, &mut y);
    assert_eq!(y, [12.0, 20.0, 36.0, 48.0, 59.0, 65.0]);
}

#[test]
fn activations_are_those_of_the_books() {
    let x = [-6.0, -3.0, -1.0, 0.5, -2.75, 3.0, 4.0];
    // By Python's `math`, x Φ(x) as 0.5 x erfc(-x / sqrt(2)).
    let gelu = [
        -5.919525870226207e-9,
        -0.004049694094890287,
        -0.15865525393145707,
        0.34573123063700656,
        -0.008194348896400033,
        2.99595030590511,
        3.9998733150326675,
    ];
    let tanh = [
        -8.43964897967453e-11,
        -0.0036373920817729943,
        -0.15880800939172324,
        0.34571400982514394,
        -0.007723144073617988,
        2.996362607918227,
        3.9999297540518075,
    ];
    let quick = [
        -0.00022035354978739246,
        -0.01807130970778597,
        -0.1542042340671787,
        0.35038843660638014,
        -0.025270167709174066,
        2.981928690292214,
        3.9955852758604187,
    ];
    let sigmoid = [
        0.0024726231566347743,
        0.04742587317756678,
        0.2689414213699951,
        0.6224593312018546,
        0.060086650174007626,
        0.9525741268224334,
        0.9820137900379085,
    ];
    let silu = std::array::from_fn(|i| sigmoid[i] * f64::from(x[i]));
    let relu = x.map(|x| f64::from(x).max(0.0));
    for (activation, want) in [
        (Activation::None, x.map(f64::from)),
        (Activation::Gelu, gelu),
        (Activation::GeluTanh, tanh),
        (Activation::QuickGelu, quick),
        (Activation::Silu, silu),
        (Activation::Relu, relu),
        (Activation::Sigmoid, sigmoid),
    ] {
        let params = set!(matmul::Params::default(); rows: 7, inner: 1, columns: 1, activation);
        let mut y = [f32::NAN; 7];
        reference::matmul(&params, &x, &[1.0], None, None, None, None, &mut y);
        // The tail of the tanh is a difference of numbers near 1.
        close(format!("{activation:?}"), &y, &want.map(|v| v as f32), Tol { abs: 1e-16, rel: 6e-8 });

        let mut y = [0.0; 2];
        let params = set!(params; rows: 2);
        reference::matmul(&params, &[f32::NAN, 0.0], &[1.0], None, None, None, None, &mut y);
        assert!(y[0].is_nan(), "{activation:?} of NaN");
        assert_eq!(y[1], if activation == Activation::Sigmoid { 0.5 } else { 0.0 }, "{activation:?} of 0");
    }
}

/// Attention of one head of one value over separate q, k and v.
fn attend(q: &[f32], k: &[f32], v: &[f32], size: Option<&[f32]>) -> Vec<f32> {
    let [queries, tokens] = [q.len() as u32, k.len() as u32];
    let params = set!(attention::Params::fused(1, tokens, 1, 1); queries, q_stride: 1);
    let params = set!(params; stride: 1, k_start: 0, v_start: 0);
    let mut y = vec![f32::NAN; q.len()];
    reference::attention(&params, q, k, v, size, None, &mut y);
    y
}

#[test]
fn attention_by_hand() {
    // Scores of 0 and ln 3 are shares of 1/4 and 3/4; the second query asks for nothing.
    let k = [0.0, 3f32.ln()];
    close("scores", &attend(&[1.0, 0.0], &k, &[8.0, 16.0], None), &[14.0, 12.0], ROUNDED);
    // Sizes alone: (1 * 8 + 3 * 16) / 4; both: shares of 1 / 10 and 9 / 10.
    let size = Some(&[1.0, 3.0][..]);
    close("sizes", &attend(&[1.0, 0.0], &k, &[8.0, 16.0], size), &[15.2, 14.0], ROUNDED);
    // Scores far outside of what e^x can hold.
    close("thousands", &attend(&[1000.0, -1000.0], &[0.0, 5.0], &[8.0, 16.0], None), &[16.0, 8.0], ROUNDED);
    // Without anyone to listen to, all count alike.
    close("nobody", &attend(&[1.0], &k, &[8.0, 16.0], Some(&[0.0, 0.0])), &[12.0], ROUNDED);
}

#[test]
fn strides_and_starts_say_where_heads_lie() {
    // Two images of two tokens with two heads of one value, as a fused projection lays them: q q k k v v. The second
    // head of the second query of the one and of the first query of the other asks for the second token.
    let qkv = [
        [[0.0, 0.0, 9.0, 9.0, 1.0, 10.0], [0.0, 2.0, 9.0, 9.0 + 3f32.ln(), 3.0, 30.0]],
        [[0.0, 2.0, 0.0, 0.0, 2.0, 20.0], [0.0, 0.0, 0.0, 3f32.ln(), 6.0, 60.0]],
    ];
    let qkv = qkv.as_flattened().as_flattened();
    let mut y = [f32::NAN; 8];
    let params = set!(attention::Params::fused(2, 2, 2, 1); scale: 0.5);
    reference::attention(&params, qkv, qkv, qkv, None, None, &mut y);
    // Means, but for those two, whose shares are 1/4 and 3/4.
    close("fused", &y, &[2.0, 20.0, 2.0, 25.0, 4.0, 50.0, 4.0, 40.0], Tol { abs: 0.0, rel: 2e-7 });
}

#[test]
fn a_token_of_size_s_is_s_tokens() {
    let mut random = Random(1);
    let [q, k, v] = [5, 6, 6].map(|count| random.floats(count));
    let size: Vec<f32> = random.sizes(6);
    let repeat = |values: &[f32]| -> Vec<f32> {
        values.iter().zip(&size).flat_map(|(&v, &s)| vec![v; s as usize]).collect()
    };
    let apart = attend(&q, &repeat(&k), &repeat(&v), None);
    close("repeated", &attend(&q, &k, &v, Some(&size)), &apart, Tol { abs: 1e-7, rel: 0.0 });
}

#[test]
fn pool_by_hand() {
    let x = [0.0, 1.0, 4.0, 5.0, 8.0, 9.0];
    let size = [1.0, 3.0, 1.0];
    let pooled = |first, mode, size: Option<&[f32]>| {
        let mut y = [f32::NAN; 2];
        reference::pool(
            &set!(pool::Params::default(); batch: 1, tokens: 3, channels: 2, first_token: first, mode),
            &x,
            size,
            &mut y,
        );
        y
    };
    assert_eq!(pooled(1, pool::PoolMode::Token, None), [4.0, 5.0]);
    assert_eq!(pooled(0, pool::PoolMode::Mean, Some(&size)), [4.0, 5.0]);
    assert_eq!(pooled(1, pool::PoolMode::Mean, None), [6.0, 7.0]);
    // (3 * 4 + 8) / 4.
    assert_eq!(pooled(1, pool::PoolMode::MeanBySize, Some(&size)), [5.0, 6.0]);
    assert_eq!(pooled(2, pool::PoolMode::MeanBefore, Some(&size)), [2.0, 3.0]);
}
