use tome_wgpu::kernels::attention::{Io, Params, SPEC, attention};
use tome_wgpu::{Tile, reference};

use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};

// Outputs are means of values below 1. A score of up to 10 is off by a few units in its last place (1e-6), and its
// weight by as much, relatively.
const TOL: Tol = Tol { abs: 3e-6, rel: 1e-6 };

/// What storing adds, and where matrix units multiply, rounding weights to 16 bits: it takes half a unit in the 11th
/// digit off each, which a mean of values below 1 can follow.
fn tol(rig: &Rig) -> Tol {
    let stored = rig.stored(TOL);
    match rig.gpu.variant().tile {
        Tile::Cooperative { .. } => Tol { abs: stored.abs + 4.9e-4, ..stored },
        _ => stored,
    }
}

struct Case {
    params: Params,
    qkv: Vec<f32>,
    size: Option<Vec<f32>>,
    /// Positions and tables.
    biased: Option<(Vec<f32>, Vec<f32>)>,
}

impl Case {
    /// Queries and keys of length about 2, so that weights differ by orders of magnitude.
    fn fused(batch: u32, tokens: u32, heads: u32, head_width: u32) -> Self {
        let mut random = Random(u64::from(tokens) << 32 | u64::from(head_width));
        let params = Params::fused(batch, tokens, heads, head_width);
        let mut qkv = random.floats(batch * tokens * params.stride);
        for (i, value) in qkv.iter_mut().enumerate() {
            *value *= if i as u32 % params.stride < params.v_start { 2.0 } else { 1.0 };
        }
        Case { params, qkv, size: Some(random.sizes(batch * tokens)), biased: None }
    }

    /// The same tokens on a grid, behind some that lie nowhere, with biases that change weights by orders of magnitude.
    fn on_grid(batch: u32, prefix: u32, [rows, columns]: [u32; 2], heads: u32, head_width: u32) -> Self {
        let mut case = Case::fused(batch, prefix + rows * columns, heads, head_width);
        case.params = set!(case.params; prefix, rows, columns);
        let mut random = Random(u64::from(rows) << 32 | u64::from(columns));
        let table = random.floats(heads * ((2 * rows - 1) * (2 * columns - 1) + 3));
        let mut image = vec![0.0; 2 * prefix as usize];
        (0..rows * columns).for_each(|i| image.extend([(i / columns) as f32, (i % columns) as f32]));
        case.biased = Some((image.repeat(batch as usize), table.iter().map(|v| 4.0 * v).collect()));
        case
    }

    /// Every token moved by up to one row and one column, so that some lie outside of the grid.
    fn moved(mut self) -> Self {
        let moves = Random(7).floats(2 * self.params.batch * self.params.tokens);
        let positions = self.biased.iter_mut().flat_map(|(positions, _)| positions);
        positions.zip(moves).for_each(|(at, by)| *at += by);
        self.params = set!(self.params; between: 1);
        self
    }

    fn len(&self) -> u32 {
        let Params { batch, queries, heads, head_width, .. } = self.params;
        batch * queries * heads * head_width
    }

    fn on_gpu(&self, rig: &Rig) -> Vec<f32> {
        let qkv = rig.elems(&self.qkv);
        let size = self.size.as_ref().map(|size| rig.data(size));
        let biased = self.biased.as_ref().map(|(position, bias)| [rig.data(position), rig.data(bias)]);
        let [position, bias] =
            biased.as_ref().map_or([None; 2], |[position, bias]| [Some(position.into()), Some(bias.into())]);
        let y = rig.unwritten(self.len());

        let size = size.as_ref().map(Into::into);
        let io = set!(Io::new(&qkv, &qkv, &qkv, &y); size, position, bias);
        rig.run(&[attention(&rig.gpu, self.params, io).unwrap()]);
        rig.read_elems(&y, self.len())
    }

    fn on_reference(&self) -> Vec<f32> {
        let mut y = vec![f32::NAN; self.len() as usize];
        reference::attention(
            &self.params,
            &self.qkv,
            &self.qkv,
            &self.qkv,
            self.size.as_deref(),
            self.biased(),
            &mut y,
        );
        y
    }

    fn biased(&self) -> Option<(&[f32], &[f32])> {
        self.biased.as_ref().map(|(position, bias)| (&position[..], &bias[..]))
    }

    /// On every variant the same.
    fn check(&self) {
        let want = self.on_reference();
        for rig in rigs_for(&SPEC) {
            let what = format!("{} size {} {:?}", rig.id(), self.size.is_some(), self.params);
            close(what, &self.on_gpu(rig), &want, tol(rig));
        }
    }
}

#[test]
fn matches_the_reference_at_any_count_of_tokens() {
    // A workgroup answers 16 or 64 queries and walks the keys by 8.
    for tokens in [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 130, 197] {
        let mut case = Case::fused(2, tokens, 3, 16);
        case.check();
        case.size = None;
        case.check();
    }
    // 518 x 518 pixels in patches of 14.
    Case::fused(1, 1370, 1, 64).check();
}

#[test]
fn matches_the_reference_at_any_head_width() {
    // Registers come for 16, 32, 64, 80 and 128 values: those, less than those, and just past them.
    for head_width in [4, 12, 16, 20, 32, 36, 48, 64, 68, 80, 84, 100, 128] {
        Case::fused(2, 21, 2, head_width).check();
    }
}

#[test]
fn tokens_that_are_skipped_are_as_masked() {
    for rig in rigs_for(&SPEC) {
        for (tokens, skip) in [(21, 1), (21, 5), (70, 66), (9, 8)] {
            let mut case = Case::fused(2, tokens, 2, 20);
            let all = case.params;
            case.params = set!(all; tokens: tokens - skip, skip);
            let got = case.on_gpu(rig);
            let what = format!("{} {:?}", rig.id(), case.params);
            close(&what, &got, &case.on_reference(), tol(rig));
            let sizes = case.size.iter_mut().flatten().enumerate();
            sizes.filter(|(i, _)| i % (tokens as usize) < skip as usize).for_each(|(_, size)| *size = 0.0);
            case.params = all;
            close(what, &got, &case.on_reference(), tol(rig));
        }
    }
}

#[test]
fn separate_strided_buffers_are_the_same_as_a_fused_one() {
    for rig in rigs_for(&SPEC) {
        let fused = Case::fused(2, 19, 2, 20);
        let Params { batch, tokens, stride, k_start, v_start, .. } = fused.params;
        // Each of the three in a buffer of its own, with another number of values left free before the first one.
        let part = |start: u32, free: u32| {
            let mut data = vec![f32::NAN; free as usize];
            for token in fused.qkv.chunks_exact(stride as usize) {
                data.extend(&token[start as usize..][..40]);
                data.extend([f32::NAN; 4]);
            }
            data
        };
        let [q, k, v] =
            [(0, 0), (k_start, 4), (v_start, 8)].map(|(start, free)| rig.elems(&part(start, free)));
        let size = rig.data(fused.size.as_ref().unwrap());
        let y = rig.unwritten(batch * tokens * 40);
        let io = Io::new(&q, &k, &v, &y).size(&size);
        let params = set!(
            fused.params;
            q_image: 19 * 44, q_stride: 44, stride: 44, q_start: 0, k_start: 4, v_start: 8
        );
        rig.run(&[attention(&rig.gpu, params, io).unwrap()]);
        same(rig.id(), &rig.read_elems(&y, fused.len()), &fused.on_gpu(rig));
    }
}

#[test]
fn queries_may_be_fewer_or_more_than_tokens_and_shared_by_all_images() {
    for rig in rigs_for(&SPEC) {
        for (queries, q_image) in [(1, 0), (3, 0), (70, 70 * 48), (5, 5 * 48 + 4)] {
            let whole = Case::fused(2, 21, 2, 16);
            let mut random = Random(9);
            let q = random.floats(q_image + queries * 48);
            let params = set!(whole.params; queries, q_image, q_stride: 48);
            let size = whole.size.clone().unwrap();
            let mut want = vec![f32::NAN; (2 * queries * 32) as usize];
            reference::attention(&params, &q, &whole.qkv, &whole.qkv, Some(&size), None, &mut want);
            let [q, kv, size, y] =
                [rig.elems(&q), rig.elems(&whole.qkv), rig.data(&size), rig.unwritten(2 * queries * 32)];
            let io = Io::new(&q, &kv, &kv, &y).size(&size);
            rig.run(&[attention(&rig.gpu, params, io).unwrap()]);
            close(format!("{} {params:?}", rig.id()), &rig.read_elems(&y, 2 * queries * 32), &want, tol(rig));
        }
    }
}

#[test]
fn a_size_is_a_weight_without_losing_digits() {
    for rig in rigs_for(&SPEC) {
        // All scores are 0: what is left is the mean of v weighted by size, over four orders of magnitude. It shows
        // the error of the shader's logarithm (8 of them at most, 5e-7 each) and exponential.
        let mut case = Case::fused(1, 64, 1, 16);
        case.qkv.chunks_exact_mut(48).for_each(|token| token[..32].fill(0.0));
        let size: Vec<f32> = (0..64).map(|i| [1.0, 2.0, 3.0, 97.0, 196.0, 4095.0, 17.0][i % 7]).collect();
        let total: f64 = size.iter().map(|&s| f64::from(s)).sum();
        let mean = |i: usize| {
            let sum: f64 = (0..64).map(|t| f64::from(size[t]) * f64::from(case.qkv[t * 48 + 32 + i])).sum();
            (sum / total) as f32
        };
        let want: Vec<f32> = (0..64).flat_map(|_| 0..16).map(mean).collect();
        case.size = Some(size);
        close(rig.id(), &case.on_gpu(rig), &want, rig.stored(Tol { abs: 1e-6, rel: 1e-6 }));
    }
}

#[test]
fn a_token_of_size_3_counts_as_three_tokens() {
    for rig in rigs_for(&SPEC) {
        let mut merged = Case::fused(1, 10, 2, 16);
        merged.size = Some((0..10).map(|i| if i == 4 { 3.0 } else { 1.0 }).collect());
        let mut apart = Case::fused(1, 12, 2, 16);
        let token = |i: usize| &merged.qkv[i * 96..][..96];
        apart.qkv = (0..10).chain([4, 4]).flat_map(token).copied().collect();
        apart.size = None;
        close(rig.id(), &merged.on_gpu(rig), &apart.on_gpu(rig)[..10 * 32], tol(rig));
    }
}

#[test]
fn a_token_of_size_0_counts_as_none() {
    for rig in rigs_for(&SPEC) {
        // Among the first eight keys, all of the second eight, the last one.
        let gone = |i: usize| i == 3 || (8..16).contains(&i) || i == 20;
        let mut masked = Case::fused(1, 21, 2, 16);
        masked.size = Some((0..21).map(|i| if gone(i) { 0.0 } else { 2.0 }).collect());
        let mut rest = Case::fused(1, 11, 2, 16);
        let kept: Vec<usize> = (0..21).filter(|&i| !gone(i)).collect();
        rest.qkv = kept.iter().flat_map(|i| &masked.qkv[i * 96..][..96]).copied().collect();
        rest.size = None;
        let y = masked.on_gpu(rig);
        let y: Vec<f32> = kept.iter().flat_map(|i| &y[i * 32..][..32]).copied().collect();
        close(rig.id(), &y, &rest.on_gpu(rig), rig.stored(TOL));
    }
    // Where all are gone all count alike, and what is read past the last key still not.
    let mut nothing = Case::fused(2, 21, 2, 16);
    nothing.size = Some(vec![0.0; 2 * 21]);
    nothing.check();
}

#[test]
fn scores_of_thousands_neither_overflow_nor_vanish() {
    for rig in rigs_for(&SPEC) {
        let mut case = Case::fused(1, 70, 1, 32);
        for token in case.qkv.chunks_exact_mut(96) {
            token[..64].iter_mut().for_each(|v| *v *= 32.0);
        }
        // Only the highest score counts then, whichever chunk it is in. Scores of 10^4 are known to 1e-3.
        close(rig.id(), &case.on_gpu(rig), &case.on_reference(), rig.stored(Tol { abs: 3e-3, rel: 0.0 }));
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    for rig in rigs_for(&SPEC) {
        let whole = Case::fused(3, 65, 2, 16);
        let y = whole.on_gpu(rig);
        let mut alone = Case::fused(1, 65, 2, 16);
        alone.qkv = whole.qkv[65 * 96..2 * 65 * 96].to_vec();
        alone.size = whole.size.as_ref().map(|size| size[65..130].to_vec());
        same(rig.id(), &alone.on_gpu(rig), &y[65 * 32..2 * 65 * 32]);
    }
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    Case::fused(35_000, 1, 2, 4).check();
}

#[test]
fn biases_match_the_reference_on_any_grid() {
    for (batch, prefix, grid, heads, head_width) in [
        (1, 0, [1, 1], 1, 4),
        (1, 1, [1, 1], 2, 16),
        (2, 1, [3, 5], 2, 16),
        (2, 0, [5, 3], 3, 32),
        (1, 5, [1, 70], 2, 20),
        (2, 3, [9, 7], 2, 64),
        (1, 64, [2, 2], 1, 16),
        (1, 70, [1, 1], 1, 16),
        (1, 1, [14, 14], 2, 64),
    ] {
        let mut case = Case::on_grid(batch, prefix, grid, heads, head_width);
        case.check();
        case.size = None;
        case.check();
        case.params = set!(case.params; between: 1);
        case.check();
        case.moved().check();
        Case::on_grid(batch, prefix, grid, heads, head_width).moved().check();
    }
}

/// On the grid nothing lies between two values, whether any may or not: to the last bit.
#[test]
fn whole_positions_read_one_value() {
    for rig in rigs_for(&SPEC) {
        let mut case = Case::on_grid(2, 1, [5, 6], 2, 16);
        let whole = case.on_gpu(rig);
        case.params = set!(case.params; between: 1);
        same(rig.id(), &case.on_gpu(rig), &whole);
    }
}

/// Where all scores are 0 but for the bias, weights are its powers: what is read half way between two rows and a quarter of
/// the way between two columns is the mean so weighted, and past the edge the edge.
#[test]
fn between_rows_and_columns_biases_are_linear() {
    for rig in rigs_for(&SPEC) {
        let mut case = Case::fused(1, 2, 1, 4);
        case.params = set!(case.params; rows: 3, columns: 3, between: 1);
        case.size = None;
        // The second token's value is 1, the first's 0.
        case.qkv = [[0.0; 12], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]].concat();
        let table: Vec<f32> = (0..25).map(|i| (i * i % 11) as f32 / 8.0).chain([9.0; 3]).collect();
        for (at, from) in [([0.5, 0.25], [0.0, 0.0]), ([0.0, 0.0], [1.5, 2.0]), ([9.0, 0.75], [0.0, -0.5])] {
            case.biased = Some(([at, from].concat(), table.clone()));
            let value = |apart: [f32; 2]| {
                let [row, column] = apart.map(|d| f64::from(d + 2.0).clamp(0.0, 4.0));
                let at = |y: f64, x: f64| f64::from(table[y as usize * 5 + x as usize]);
                let line = |y: f64| {
                    at(y, column.floor()) + column.fract() * (at(y, column.ceil()) - at(y, column.floor()))
                };
                line(row.floor()) + row.fract() * (line(row.ceil()) - line(row.floor()))
            };
            let apart = [at[0] - from[0], at[1] - from[1]];
            let want = 1.0 / (1.0 + (value([0.0, 0.0]) - value(apart)).exp());
            let what = format!("{} {at:?} {from:?}", rig.id());
            close(what, &case.on_gpu(rig)[..1], &[want as f32], rig.stored(Tol { abs: 1e-6, rel: 1e-6 }));
        }
    }
}

/// Tokens of no size count for nothing however much their bias is.
#[test]
fn a_bias_brings_nothing_back_that_is_masked() {
    for rig in rigs_for(&SPEC) {
        let mut case = Case::on_grid(1, 1, [3, 4], 2, 16);
        case.biased.iter_mut().for_each(|(_, bias)| bias.iter_mut().for_each(|v| *v = 50.0 * v.abs()));
        case.size.iter_mut().flatten().skip(4).for_each(|size| *size = 0.0);
        let got = case.on_gpu(rig);
        case.qkv
            .iter_mut()
            .enumerate()
            .filter(|(i, _)| i / 96 >= 4 && i % 96 >= 32)
            .for_each(|(_, v)| *v = 1e4);
        same(rig.id(), &case.on_gpu(rig)[..4 * 32], &got[..4 * 32]);
    }
}
