//! The CPU path against the reference, kernel by kernel.

use tome_wgpu::kernels::find_matches::{PROTECTED, Similarity};
use tome_wgpu::kernels::matmul::Activation;
use tome_wgpu::kernels::{NormKind, merge_source};
use tome_wgpu::kernels::{
    attention, embed_patches, find_matches, key_metric, layer_norm, matmul, merge_tokens, norm_heads, pool,
    rank_matches, token_energy, unmerge,
};
use tome_wgpu::reference;
use tome_wgpu::{Partition, cpu};

use crate::common::{Random, Tol, close, partitions, same, set};

/// A few roundings of a sum of values around 1.
const SUMS: Tol = Tol { abs: 2e-6, rel: 2e-6 };

/// Where both sum in f64: a unit in the last place.
const ROUNDED: Tol = Tol { abs: 0.0, rel: 1.2e-7 };

/// Two buffers to write to.
fn outputs(count: u32) -> [Vec<f32>; 2] {
    [(); 2].map(|()| vec![f32::NAN; count as usize])
}

/// The same for indices.
fn indices(count: u32) -> [Vec<u32>; 2] {
    [(); 2].map(|()| vec![u32::MAX - 1; count as usize])
}

#[test]
fn matmul_at_any_size_and_with_any_part() {
    let mut random = Random(1);
    // One row and few elements take other paths in the library than tiles do.
    for (rows, inner, columns) in
        [(1, 4, 1), (1, 64, 10), (5, 8, 7), (17, 100, 33), (197, 64, 192), (33, 1030, 20)]
    {
        // Angles of up to 12.
        let position: Vec<f32> = random.floats(2 * rows).iter().map(|v| v * 6.0).collect();
        let turn = random.floats(columns);
        let [x, w] = [rows, columns].map(|rows| random.floats(rows * inner));
        let bias = random.floats(columns);
        let [gate, residual] = [(); 2].map(|()| random.floats(rows * columns));
        for &activation in Activation::ALL {
            for parts in 0..16 {
                let turned =
                    (parts & 8 > 0 && columns.is_multiple_of(2)).then_some((&position[..], &turn[..]));
                let [bias, gate, residual] = [(1, &bias), (2, &gate), (4, &residual)]
                    .map(|(bit, values)| (parts & bit > 0).then_some(&values[..]));
                let params = matmul::Params::new(rows, inner, columns).activation(activation);
                let [mut y, mut want] = outputs(rows * columns);
                cpu::matmul(&params, &x, &w, bias, gate, residual, turned, &mut y);
                reference::matmul(&params, &x, &w, bias, gate, residual, turned, &mut want);
                let tol = Tol { abs: 5e-8 * inner as f32 + 1e-6, rel: 1e-6 };
                close(format!("{params:?} parts {parts}"), &y, &want, tol);
            }
        }
    }
}

#[test]
fn angles_are_exact_to_their_last_place() {
    // The point (1, 0) turned by angles of every size: columns are their cosines and sines.
    for most in [1.0f32, 50.0, 8000.0] {
        let rows = 20_001;
        let position: Vec<f32> = (0..rows).flat_map(|i| [(i as f32 / 10_000.0 - 1.0) * most, 0.0]).collect();
        let x = vec![1.0; rows as usize];
        let params = matmul::Params::new(rows, 1, 2);
        let turned = Some((&position[..], &[1.0, 0.0][..]));
        let [mut y, mut want] = outputs(2 * rows);
        cpu::matmul(&params, &x, &[1.0, 0.0], None, None, None, turned, &mut y);
        reference::matmul(&params, &x, &[1.0, 0.0], None, None, None, turned, &mut want);
        // The polynomials' 1.5e-7, and half a place of n times what half of pi is rounded to.
        close(format!("{most}"), &y, &want, Tol { abs: 4e-7, rel: 0.0 });
    }
}

#[test]
fn activations_are_right_everywhere() {
    let x: Vec<f32> =
        (-3000..=3000).map(|i| i as f32 / 200.0).chain([-1e30, -100.0, 100.0, 1e30, 0.0, -0.0]).collect();
    let rows = x.len() as u32;
    for &activation in Activation::ALL {
        let params = matmul::Params::new(rows, 1, 1).activation(activation);
        let [mut y, mut want] = outputs(rows);
        cpu::matmul(&params, &x, &[1.0], None, None, None, None, &mut y);
        reference::matmul(&params, &x, &[1.0], None, None, None, None, &mut want);
        close(format!("{activation:?}"), &y, &want, Tol { abs: 2e-7, rel: 2e-7 });

        cpu::matmul(&params, &vec![f32::NAN; x.len()], &[1.0], None, None, None, None, &mut y);
        assert!(y.iter().all(|v| v.is_nan()), "{activation:?} of NaN");
    }
}

#[test]
fn norms_also_far_from_zero() {
    let mut random = Random(2);
    for (rows, channels, centre) in [(1, 4, 0.0), (3, 36, 0.0), (5, 384, 3.0), (2, 768, 1000.0)] {
        // The mean is rounded to f32 before it is taken away.
        let tol = Tol { abs: 1e-6 + centre * 1e-7, rel: 1e-6 };
        let x: Vec<f32> = random.floats(rows * channels).iter().map(|v| v + centre).collect();
        let (weight, bias) = (random.floats(channels), random.floats(channels));
        let residual_rows = rows.min(2);
        let residual = random.floats(residual_rows * channels);
        for (weight, bias, residual, kind) in [
            (None, None, None, NormKind::Layer),
            (Some(&weight[..]), None, Some(&residual[..]), NormKind::Rms),
            (Some(&weight[..]), Some(&bias[..]), None, NormKind::Layer),
        ] {
            let [mut y, mut want] = outputs(rows * channels);
            let params = set!(layer_norm::Params::new(rows, channels, 1e-6); kind, residual_rows);
            cpu::layer_norm(&params, &x, weight, bias, residual, &mut y);
            reference::layer_norm(&params, &x, weight, bias, residual, &mut want);
            close(format!("{rows} x {channels}"), &y, &want, tol);
        }
        // The same numbers as heads, q and k half of the channels each, and what lies between tokens stays.
        let [weight, bias] = [(); 2].map(|()| random.floats(channels / 2));
        for stride in [channels, channels / 2 * 3] {
            let params = set!(
                norm_heads::Params::default();
                rows: x.len() as u32 / stride, parts: 2, heads: 2, head_width: channels / 4, stride, eps: 1e-6
            );
            let [mut y, mut want] = [&x, &x].map(Clone::clone);
            let position = random.floats(2 * params.rows);
            let turn = random.floats(channels);
            let turned =
                (stride == channels && channels.is_multiple_of(8)).then_some((&position[..], &turn[..]));
            cpu::norm_heads(&params, Some(&weight), Some(&bias), turned, &mut y);
            reference::norm_heads(&params, Some(&weight), Some(&bias), turned, &mut want);
            // Heads of few values may lie close together.
            close(format!("{params:?}"), &y, &want, Tol { abs: 10.0 * tol.abs, rel: 1e-5 });
        }
    }
}

#[test]
fn attention_for_any_layout_and_size() {
    let mut random = Random(3);
    // 64 queries are answered together.
    for (batch, tokens, heads, head_width, stride, [q_start, k_start, v_start]) in [
        (1, 1, 1, 4, 4, [0, 0, 0]),
        (2, 5, 2, 8, 48, [0, 16, 32]),
        (1, 64, 3, 16, 144, [0, 48, 96]),
        (2, 65, 2, 12, 100, [28, 0, 56]),
        (1, 197, 1, 64, 64, [0, 64, 128]),
    ] {
        let fused = attention::Params::fused(batch, tokens, heads, head_width);
        let own = set!(fused; stride, q_stride: stride, q_start, k_start, v_start, scale: 0.7);
        let qkv = random.floats(128 + batch * tokens * stride);
        let sizes = random.sizes(batch * tokens);
        let masked: Vec<f32> = sizes.iter().map(|&size| if size > 2.0 { 0.0 } else { size }).collect();
        let nobody = vec![0.0; sizes.len()];
        // All tokens ask, or a few of the first image's for every image.
        let skip = tokens / 4;
        for (queries, q_image, skip) in [(tokens, tokens * stride, 0), (tokens.min(3), 0, skip)] {
            let params = set!(own; queries, q_image, tokens: tokens - skip, skip);
            for size in [None, Some(&sizes), Some(&masked), Some(&nobody)] {
                let size = size.map(|size| &size[..]);
                let [mut y, mut want] = outputs(batch * queries * heads * head_width);
                cpu::attention(&params, &qkv, &qkv, &qkv, size, None, &mut y);
                reference::attention(&params, &qkv, &qkv, &qkv, size, None, &mut want);
                close(format!("{params:?}"), &y, &want, SUMS);
            }
        }
    }
}

#[test]
fn attention_with_a_bias_by_displacement() {
    let mut random = Random(5);
    for (batch, prefix, [rows, columns], heads) in
        [(1, 0, [1, 1], 1), (2, 1, [3, 5], 2), (1, 5, [1, 7], 3), (2, 0, [9, 8], 2), (1, 1, [14, 14], 1)]
    {
        let tokens = prefix + rows * columns;
        let fused = attention::Params::fused(batch, tokens, heads, 8);
        let qkv = random.floats(batch * tokens * fused.stride);
        let sizes = random.sizes(batch * tokens);
        let bias: Vec<f32> =
            random.floats(heads * ((2 * rows - 1) * (2 * columns - 1) + 3)).iter().map(|v| 4.0 * v).collect();
        let whole = places(batch, prefix, [rows, columns]);
        // Also beyond the grid, where the table is read at its edge.
        let apart: Vec<f32> =
            whole.iter().zip(random.floats(whole.len() as u32)).map(|(at, by)| at + by).collect();
        for (position, between) in [(&whole, 0), (&whole, 1), (&apart, 1)] {
            let params = set!(fused; prefix, rows, columns, between);
            for size in [None, Some(&sizes[..])] {
                let [mut y, mut want] = outputs(batch * tokens * heads * 8);
                cpu::attention(&params, &qkv, &qkv, &qkv, size, Some((position, &bias)), &mut y);
                reference::attention(&params, &qkv, &qkv, &qkv, size, Some((position, &bias)), &mut want);
                close(format!("{params:?}"), &y, &want, SUMS);
            }
        }
    }
}

/// The places of patches on a grid, behind tokens that have none.
fn places(batch: u32, prefix: u32, [rows, columns]: [u32; 2]) -> Vec<f32> {
    let mut image = vec![0.0; 2 * prefix as usize];
    (0..rows * columns).for_each(|i| image.extend([(i / columns) as f32, (i % columns) as f32]));
    image.repeat(batch as usize)
}

#[test]
fn embed_patches_of_floats_and_of_bytes() {
    let mut random = Random(4);
    for (batch, planes, [height, width], [patch_height, patch_width], prefix) in
        [(1, 3, [8, 8], [4, 4], 1), (2, 1, [7, 11], [3, 5], 0), (2, 3, [6, 9], [2, 3], 5)]
    {
        let channels = 8;
        let image = [planes, height, width];
        let params =
            embed_patches::Params::pictures(batch, image, [patch_height, patch_width], prefix, channels);
        let strided = set!(params; frames: 3, patch_frames: 2, stride_frames: 1, stride_width: 1);
        for params in [params, strided] {
            let image = random.floats(batch * params.frames * planes * height * width);
            let bytes: Vec<u8> = (0..image.len()).map(|_| random.below(256) as u8).collect();
            let normal = [0.5, 0.25, 0.75, 0.125, 0.5, 0.25];
            let normal = [&normal[..planes as usize], &normal[3..][..planes as usize]].concat();
            let w = random.floats(channels * params.patch_values().next_multiple_of(4));
            let base = random.floats((prefix + params.patches()) * channels);

            let [mut y, mut want] = outputs(batch * (prefix + params.patches()) * channels);
            cpu::embed_patches(&params, &image, &w, &base, None, &mut y);
            reference::embed_patches(&params, &image, &w, &base, None, &mut want);
            close(format!("{params:?}"), &y, &want, SUMS);

            // Values of up to 7.
            cpu::embed_patches(&params, &bytes, &w, &base, Some(&normal), &mut y);
            reference::embed_patches(&params, &bytes, &w, &base, Some(&normal), &mut want);
            close(format!("{params:?} bytes"), &y, &want, Tol { abs: 2e-5, rel: 2e-6 });
        }
    }
}

#[test]
fn pool_in_every_mode() {
    let mut random = Random(5);
    for (batch, tokens, channels, first) in [(1, 1, 4, 0), (3, 5, 12, 4), (2, 197, 20, 1)] {
        let (x, size) = (random.floats(batch * tokens * channels), random.sizes(batch * tokens));
        for &mode in pool::PoolMode::ALL {
            // There must be one before.
            let first = if mode == pool::PoolMode::MeanBefore { first.max(1) } else { first };
            let params = pool::Params::new([batch, tokens, channels], first, mode);
            let [mut y, mut want] = outputs(batch * channels);
            cpu::pool(&params, &x, Some(&size), &mut y);
            reference::pool(&params, &x, Some(&size), &mut want);
            close(format!("{params:?}"), &y, &want, ROUNDED);
        }
    }
}

#[test]
fn key_metric_with_and_without_a_direction() {
    let mut random = Random(6);
    for (rows, heads, head_width, stride, start) in [(5, 1, 4, 4, 0), (9, 3, 20, 64, 8), (40, 12, 64, 768, 0)]
    {
        for &length in key_metric::Length::ALL {
            let mut keys = random.floats(start + rows * stride);
            let mut key = |row: u32, change: &dyn Fn(&mut f32)| {
                keys[(start + row * stride) as usize..][..(heads * head_width) as usize]
                    .iter_mut()
                    .for_each(change);
            };
            key(0, &|v| *v = 0.0);
            key(1, &|v| *v = f32::NAN);
            key(2, &|v| *v *= 1e25);
            key(3, &|v| *v *= 1e-25);
            let params = set!(key_metric::Params::default(); rows, heads, head_width, stride, start, length);
            let [mut y, mut want] = outputs(rows * head_width);
            cpu::key_metric(&params, &keys, None, &mut y);
            reference::key_metric(&params, &keys, None, &mut want);
            close(format!("{params:?}"), &y, &want, Tol { abs: 2e-7, rel: 2e-7 });
        }
    }
}

/// Everything from lists to merged tokens and back, for images whose similarities are exact and often equal.
fn match_and_merge(batch: u32, tokens: u32, protect: u32, partition: Partition) {
    let what = format!("{batch} x {tokens}, {protect} protected, {partition}");
    let mut random = Random(u64::from(tokens) << 8 | u64::from(protect));
    let most = partition.most(tokens, protect);
    let (width, channels) = (8, 4);
    for r in [0, 1, most / 2, most].into_iter().filter(|&r| r <= most) {
        let mut metric = random.sixteenths(batch * tokens * width);
        // Some without direction.
        metric.chunks_exact_mut(width as usize).step_by(5).for_each(|token| token.fill(0.0));
        let [mut energy, mut want_energy] = outputs(batch * tokens);
        for margin in [0.9, 1.0 / 256.0, -0.003] {
            let params = token_energy::Params::new([batch, tokens, width], protect, margin);
            cpu::token_energy(&params, &metric, &mut energy);
            reference::token_energy(&params, &metric, &mut want_energy);
            // An exponential in f32.
            close(format!("{what} energy"), &energy, &want_energy, Tol { abs: 1.5e-7, rel: 0.0 });
        }
        let list = partition.split(batch, tokens, protect, r);
        let lists = list.map(|list| {
            let [mut split, mut want] = indices(list.lists * tokens);
            cpu::split_tokens(&list, Some(&want_energy), &mut split);
            reference::split_tokens(&list, Some(&want_energy), &mut want);
            same(&what, &split, &want);
            split
        });
        let split = lists.as_deref();
        let (srcs, split_stride) = list.map_or((tokens.div_ceil(2), 0), |list| (list.srcs, list.stride()));
        let held = list.map_or(0, |list| list.held());

        let edges = batch * srcs;
        let ([mut score, mut want_score], [mut best, mut want_best]) = (outputs(edges), indices(edges));
        for similarity in [Similarity::Euclidean, Similarity::Dot, Similarity::Cosine] {
            let params = set!(
                find_matches::Params::default();
                batch, tokens, width, protect, similarity, srcs, split_stride, held
            );
            cpu::find_matches(&params, &metric, split, None, &mut score, &mut best);
            reference::find_matches(&params, &metric, split, None, &mut want_score, &mut want_best);
            // 0 and -0 are one score.
            assert_eq!(score, want_score, "{what}");
            same(&what, &best, &want_best);
        }
        // Sizes count: powers and products in f32 against f64.
        let sizes: Vec<f32> = (0..batch * tokens).map(|i| [1.0, 3.0, 0.0, 20.0][i as usize % 4]).collect();
        let by_size = set!(
            find_matches::Params::default();
            batch, tokens, width, protect, srcs, split_stride, by_size: 0.5
        );
        let [mut heavy, mut want_heavy] = outputs(edges);
        cpu::find_matches(&by_size, &metric, split, Some(&sizes), &mut heavy, &mut best);
        reference::find_matches(&by_size, &metric, split, Some(&sizes), &mut want_heavy, &mut want_best);
        for (got, want) in heavy.iter().zip(&want_heavy) {
            assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{what}: {got} for {want}");
        }
        let params = set!(
            find_matches::Params::default();
            batch, tokens, width, protect, srcs, split_stride
        );
        cpu::find_matches(&params, &metric, split, None, &mut score, &mut best);
        assert!(protect == 0 || score[0] == PROTECTED, "{what}");

        let params = set!(rank_matches::Params::default(); batch, tokens, r, protect, srcs, split_stride);
        let plan_len = batch * params.plan_len();
        let ([mut rank, mut want_rank], [mut plan, mut want_plan]) = (indices(edges), indices(plan_len));
        cpu::rank_matches(&params, &score, &best, split, &mut rank, &mut plan);
        reference::rank_matches(&params, &score, &best, split, &mut want_rank, &mut want_plan);
        same(&what, &rank, &want_rank);
        same(&what, &plan, &want_plan);

        let merged = batch * (tokens - r);
        let (x, sizes) = (random.floats(batch * tokens * channels), random.sizes(batch * tokens));
        // A map as after earlier merges, or none.
        let map: Vec<u32> = (0..batch * (tokens + 3)).map(|_| random.below(tokens)).collect();
        for &mode in merge_tokens::MergeMode::ALL {
            for (size, source) in [(None, None), (Some(&sizes[..]), Some(&map[..]))] {
                let sources = source.map_or(tokens, |_| tokens + 3);
                let eps = 1e-3;
                let params = set!(merge_tokens::Params::new([batch, tokens, channels], r); mode, eps);
                let [mut x_out, mut want_x] = outputs(merged * channels);
                let [mut size_out, mut want_size] = outputs(merged);
                let [mut source_out, mut want_source] = indices(batch * sources);
                let [mut normed, mut want_normed] = outputs(merged * channels);
                cpu::merge_tokens(
                    &params,
                    &plan,
                    &x,
                    size,
                    &mut x_out,
                    &mut size_out,
                    Some(&mut normed),
                    None,
                );
                let want_normed_out = Some(&mut want_normed[..]);
                reference::merge_tokens(
                    &params,
                    &plan,
                    &x,
                    size,
                    &mut want_x,
                    &mut want_size,
                    want_normed_out,
                    None,
                );
                let map = merge_source::Params::new(batch, tokens, r, sources);
                cpu::merge_source(&map, &plan, source, &mut source_out);
                reference::merge_source(&map, &plan, source, &mut want_source);
                close(format!("{what} {mode:?}"), &x_out, &want_x, ROUNDED);
                same(&what, &size_out, &want_size);
                same(&what, &source_out, &want_source);
                // The mean is rounded to f32 before it is taken away, from sums of up to all tokens.
                close(format!("{what} normed"), &normed, &want_normed, Tol { abs: 5e-5, rel: 1e-5 });

                let params = set!(
                    unmerge::Params::default();
                    batch, tokens: tokens - r, sources, first_source: protect.min(sources - 1), channels
                );
                let residual = random.floats(batch * (sources - params.first_source) * channels);
                for residual in [None, Some(&residual[..])] {
                    let [mut y, mut want] = outputs(batch * (sources - params.first_source) * channels);
                    cpu::unmerge(&params, &x_out, &source_out, residual, &mut y);
                    reference::unmerge(&params, &x_out, &source_out, residual, &mut want);
                    same(&what, &y, &want);
                }
            }
        }
    }
}

#[test]
fn matching_and_merging_in_any_partition() {
    for (batch, tokens) in [(1, 1), (2, 2), (1, 3), (2, 4), (1, 7), (3, 16), (2, 33), (1, 198)] {
        for protect in [0, 1, 2, 5].into_iter().filter(|&protect| protect <= tokens) {
            for partition in partitions(tokens - protect) {
                match_and_merge(batch, tokens, protect, partition);
            }
        }
    }
}

#[test]
#[should_panic(expected = "y [2, 4] needs 8 elements and has 7")]
fn a_short_slice_panics() {
    cpu::layer_norm(&layer_norm::Params::new(2, 4, 1e-6), &[0.0; 8], None, None, None, &mut [0.0; 7]);
}

#[test]
#[should_panic(expected = "k needs 32 elements and has 31")]
fn a_short_strided_slice_panics() {
    let qkv = [0.0; 31];
    let params = set!(attention::Params::fused(1, 3, 1, 4); stride: 12);
    cpu::attention(&params, &qkv, &qkv, &qkv, None, None, &mut [0.0; 12]);
}
