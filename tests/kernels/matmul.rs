use tome_wgpu::kernels::matmul::{Activation, Io, Params, SPEC, matmul};
use tome_wgpu::{Element, reference};

use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};

/// A sum of `inner` products below 1 of random sign is about sqrt(inner) / 3 all the way, and each of its `inner`
/// roundings is off by up to 6e-8 of that: together 2e-8 * inner as a root mean square, seldom more than twice that.
/// The rest, bias to residual, is a few roundings of numbers of up to 4.
pub fn tol(inner: u32) -> Tol {
    Tol { abs: 1e-6 + 5e-8 * inner as f32, rel: 1e-6 }
}

struct Case {
    params: Params,
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Option<Vec<f32>>,
    gate: Option<Vec<f32>>,
    residual: Option<Vec<f32>>,
    /// Positions and turns.
    turned: Option<[Vec<f32>; 2]>,
}

impl Case {
    /// A bare product of random matrices.
    fn product(rows: u32, inner: u32, columns: u32) -> Self {
        let mut random = Random(u64::from(rows) << 32 | u64::from(columns));
        let params = set!(Params::default(); rows, inner, columns);
        let (x, w) = (random.floats(rows * inner), random.floats(columns * inner));
        Case { params, x, w, bias: None, gate: None, residual: None, turned: None }
    }

    /// The same with pairs turned by angles of up to so much.
    fn turned(self, most: f32) -> Self {
        let mut random = Random(u64::from(self.params.columns));
        let position: Vec<f32> = random.floats(2 * self.params.rows).iter().map(|v| v * most / 2.0).collect();
        Case { turned: Some([position, random.floats(self.params.columns)]), ..self }
    }

    fn on_gpu(&self, rig: &Rig) -> Vec<f32> {
        let (x, w) = (rig.elems(&self.x), rig.weights(&self.w));
        let [bias, residual] =
            [&self.bias, &self.residual].map(|data| data.as_ref().map(|data| rig.data(data)));
        let gate = self.gate.as_ref().map(|gate| rig.elems(gate));
        let turned = self.turned.as_ref().map(|parts| [rig.data(&parts[0]), rig.data(&parts[1])]);
        let y = rig.unwritten(self.params.rows * self.params.columns);
        let io = set!(
            Io::new(&x, &w, &y);
            bias: bias.as_ref().map(Into::into), gate: gate.as_ref().map(Into::into), residual: residual.as_ref().map(Into::into),
            position: turned.as_ref().map(|[position, _]| position.into()), turn: turned.as_ref().map(|[_, turn]| turn.into())
        );
        rig.run(&[matmul(&rig.gpu, self.params, io).unwrap()]);
        let elements = self.params.rows * self.params.columns;
        if self.residual.is_some() { rig.read(&y, elements) } else { rig.read_elems(&y, elements) }
    }

    /// What rounding to the storage type adds, unless the result is 32-bit anyway.
    fn stored(&self, rig: &Rig, tol: Tol) -> Tol {
        if self.residual.is_some() { tol } else { rig.stored(tol) }
    }

    fn on_reference(&self) -> Vec<f32> {
        let mut y = vec![f32::NAN; (self.params.rows * self.params.columns) as usize];
        let [bias, gate, residual] = [&self.bias, &self.gate, &self.residual].map(|data| data.as_deref());
        let turned = self.turned.as_ref().map(|[position, turn]| (&position[..], &turn[..]));
        reference::matmul(&self.params, &self.x, &self.w, bias, gate, residual, turned, &mut y);
        y
    }

    /// On every variant the same.
    fn check(&self) {
        let want = self.on_reference();
        rigs_for(&SPEC).for_each(|rig| self.check_on(rig, &want));
    }

    fn check_on(&self, rig: &Rig, want: &[f32]) {
        close(
            format!("{} {:?}", rig.id(), self.params),
            &self.on_gpu(rig),
            want,
            self.stored(rig, tol(self.params.inner)),
        );
    }
}

#[test]
fn matches_the_reference() {
    // Tiles are 32 x 64 by eights of rows, or squares of 16 to 128 by slabs of 8, 16 or 32.
    let shapes = [
        (1, 4, 1),
        (7, 12, 3),
        (8, 16, 4),
        (9, 20, 5),
        (63, 64, 63),
        (64, 16, 64),
        (65, 68, 65),
        (17, 48, 127),
        (16, 16, 128),
        (15, 132, 129),
        (130, 36, 1000),
        (2 * 197, 192, 192),
        (50, 768, 192),
        (129, 96, 132),
    ];
    for (rows, inner, columns) in shapes {
        Case::product(rows, inner, columns).check();
    }
}

#[test]
fn every_epilogue_matches_the_reference() {
    // A shader is made for each: every activation before all parts, then every part without the others.
    let after_activations = Activation::ALL.iter().map(|&activation| (activation, 15));
    let alone = [0, 1, 4, 8].map(|parts| (Activation::Gelu, parts));
    for (activation, parts) in after_activations.chain(alone) {
        // What does not fill slabs and fours, and what does.
        for (inner, columns) in [(20, 67), (32, 68)] {
            let mut case = Case::product(70, inner, columns);
            case.params.activation = activation;
            let mut random = Random(parts);
            // Not near 1 and 0: the order of the parts must show.
            case.bias = (parts & 1 != 0).then(|| random.floats(columns));
            case.residual = (parts & 4 != 0).then(|| random.floats(70 * columns));
            case.gate = (parts & 8 != 0).then(|| random.floats(70 * columns));
            case.check();
        }
    }
}

#[test]
fn pairs_are_turned() {
    for (rows, inner, columns) in [(1, 4, 4), (70, 32, 68), (70, 20, 132), (2 * 197, 192, 192)] {
        let mut case = Case::product(rows, inner, columns).turned(6.0);
        case.check();
        case.bias = Some(Random(1).floats(columns));
        case.check();
    }
    // Every part, in its order.
    let (rows, columns) = (70, 68);
    let mut random = Random(2);
    let mut case = Case::product(rows, 32, columns).turned(6.0);
    case.params.activation = Activation::Gelu;
    case.bias = Some(random.floats(columns));
    case.gate = Some(random.floats(rows * columns));
    case.residual = Some(random.floats(rows * columns));
    case.check();
}

#[test]
fn angles_are_exact_to_their_last_place() {
    // The point (1, 0) turned by angles of every size: columns are their cosines and sines.
    let rows = 4096;
    for most in [1.0f32, 50.0, 8000.0] {
        let mut case = Case::product(rows, 4, 4);
        case.x = (0..rows).flat_map(|_| [1.0, 0.0, 0.0, 0.0]).collect();
        case.w = [1.0, 0.0, 1.0, 0.0].iter().flat_map(|&v| [v, 0.0, 0.0, 0.0]).collect();
        let position = (0..rows).flat_map(|i| [(i as f32 / 2048.0 - 1.0) * most, 0.0]).collect();
        case.turned = Some([position, vec![1.0, 0.0, -1.0, 0.0]]);
        let want = case.on_reference();
        for rig in rigs_for(&SPEC) {
            // The polynomials' 1.5e-7, and half a place of n times what half of pi is rounded to: see math.wgsl.
            close(
                format!("{} {most}", rig.id()),
                &case.on_gpu(rig),
                &want,
                rig.stored(Tol { abs: 4e-7, rel: 0.0 }),
            );
        }
    }
}

#[test]
fn what_is_turned_by_the_same_keeps_its_products() {
    // Scores of attention know how far two tokens are apart, and not where both are: q and k of a head of 16, once at
    // their places, once all moved by as much.
    let (rows, width) = (33, 16);
    let mut case = Case::product(rows, 32, 2 * width).turned(4.0);
    let [position, turn] = case.turned.as_mut().unwrap();
    // k turns as q does.
    let (of_q, of_k) = turn.split_at_mut(width as usize);
    of_k.copy_from_slice(of_q);
    let moved: Vec<f32> = position.chunks(2).flat_map(|at| [at[0] + 3.0, at[1] - 1.5]).collect();
    let there = Case {
        turned: Some([moved, turn.clone()]),
        x: case.x.clone(),
        w: case.w.clone(),
        ..Case::product(rows, 32, 2 * width)
    };
    let scores = |y: &[f32]| -> Vec<f32> {
        let rows: Vec<_> = y.chunks(2 * width as usize).map(|row| row.split_at(width as usize)).collect();
        let product = |q: &[f32], k: &[f32]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>();
        rows.iter().flat_map(|(q, _)| rows.iter().map(move |(_, k)| product(q, k))).collect()
    };
    for rig in rigs_for(&SPEC).filter(|rig| rig.gpu.variant().element == Element::F32) {
        let (here, there) = (case.on_gpu(rig), there.on_gpu(rig));
        let most = here.iter().zip(&there).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most > 0.1, "{}: nothing has been turned", rig.id());
        // Sixteen products of values of up to 8, each turned by an angle that is off by 5e-7.
        close(rig.id(), &scores(&there), &scores(&here), Tol { abs: 1e-4, rel: 1e-5 });
    }
}

#[test]
fn infinities_and_nan_stay_where_they_are() {
    // In the last vector of a row that does not fill its last slab: what stands in for the rest must be 0 on both sides.
    let (rows, inner, columns) = (3, 20, 5);
    for value in [f32::INFINITY, f32::NAN] {
        for in_x in [true, false] {
            let mut case = Case::product(rows, inner, columns);
            let (marked, other) = if in_x { (&mut case.x, &mut case.w) } else { (&mut case.w, &mut case.x) };
            other.iter_mut().for_each(|v| *v = v.abs() + 0.125);
            // Of the second row, or the second column.
            marked[2 * inner as usize - 1] = value;
            for rig in rigs_for(&SPEC) {
                for (i, y) in case.on_gpu(rig).into_iter().enumerate() {
                    let second = if in_x { i / columns as usize == 1 } else { i % columns as usize == 1 };
                    let right =
                        if second { y.is_nan() == value.is_nan() && !y.is_finite() } else { y.is_finite() };
                    assert!(right, "{}: {y} at {i} for {value}", rig.id());
                }
            }
        }
    }
}

#[test]
fn activations_are_exact() {
    // One product of x and 1 an output.
    // Multiples of 1/128, which 16 bits hold exactly.
    let x: Vec<f32> = (-1536..=1536).map(|i| i as f32 / 128.0).collect();
    let rows = x.len() as u32;
    let padded = x.iter().flat_map(|&v| [v, 0.0, 0.0, 0.0]).collect();
    let mut case = Case { x: padded, w: vec![1.0, 0.0, 0.0, 0.0], ..Case::product(rows, 4, 1) };
    for &activation in Activation::ALL {
        case.params.activation = activation;
        let want = case.on_reference();
        for rig in rigs_for(&SPEC) {
            // Abramowitz and Stegun's error of 1.5e-7 in erf is x / 2 times that in gelu, for the x where erf is not
            // yet 1: 3e-7 at 4. The rest is rounding, 1.2e-7 of the value.
            close(
                format!("{} {activation:?}", rig.id()),
                &case.on_gpu(rig),
                &want,
                rig.stored(Tol { abs: 4e-7, rel: 2.5e-7 }),
            );
        }
    }
}

#[test]
fn activations_keep_their_limits() {
    // Far out nothing may overflow to NaN: x^3 of 1e20 is infinite.
    let x = [-1e20f32, -1e4, -100.0, 0.0, 100.0, 1e4, 1e20];
    let padded = x.iter().flat_map(|&v| [v, 0.0, 0.0, 0.0]).collect();
    let mut case = Case { x: padded, w: vec![1.0, 0.0, 0.0, 0.0], ..Case::product(7, 4, 1) };
    // 16 bits end at 65,504.
    for rig in rigs_for(&SPEC).filter(|rig| rig.gpu.variant().element == Element::F32) {
        for activation in [
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::QuickGelu,
            Activation::Silu,
            Activation::Relu,
        ] {
            case.params.activation = activation;
            let want = x.map(|v| v.max(0.0));
            // The sigmoid ends at e^-88, which times 1e20 is 6e-19.
            close(
                format!("{} {activation:?}", rig.id()),
                &case.on_gpu(rig),
                &want,
                Tol { abs: 1e-17, rel: 0.0 },
            );
        }
    }
}

#[test]
fn more_tiles_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        // A tile of 16 to 128 rows is a workgroup: 66,000 or more of them.
        let rows = 66_000 * rig.tile_rows();
        let case = Case::product(rows, 4, 1);
        if u64::from(rows) * 16 <= rig.gpu.caps().limits.max_storage_buffer_binding_size {
            case.check_on(rig, &case.on_reference());
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    for rig in rigs_for(&SPEC) {
        let whole = Case::product(130, 64, 70);
        let y = whole.on_gpu(rig);
        let alone = Case { x: whole.x[64 * 64..].to_vec(), w: whole.w.clone(), ..Case::product(66, 64, 70) };
        same(rig.id(), &alone.on_gpu(rig), &y[64 * 70..]);
    }
}
