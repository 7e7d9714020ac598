//! Each kernel at the shapes of a ViT-S/16 and a ViT-B/16 at 224 pixels, in every variant that the adapter runs:
//! checked against its twin, then timed. An element is a floating-point operation, so that `Gelem/s` reads as
//! GFLOP/s; kernels that only move data are given in bytes. `TOME_ADAPTER` picks the adapter by a part of its name.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tome_wgpu::kernels::{self, *};
use tome_wgpu::{Access, Dispatch, KernelSpec, Partition, cpu};

use common::{Random, Rig, Tol, close, rigs_for, same};

/// A network's sizes at one batch size; heads are 64 wide and 16 tokens merge in a block.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    batch: u32,
    heads: u32,
}

const TOKENS: u32 = 197;
const HEAD_WIDTH: u32 = 64;
const R: u32 = 16;

impl Shape {
    fn channels(self) -> u32 {
        self.heads * HEAD_WIDTH
    }

    fn rows(self) -> u32 {
        self.batch * TOKENS
    }

    fn random(self) -> Random {
        Random(self.heads.into())
    }
}

/// One image and eight, except where a software driver would take minutes over eight.
fn shapes() -> Vec<Shape> {
    let software = common::rigs().iter().any(|rig| rig.gpu.caps().software);
    let batches: &[u32] = if software { &[1] } else { &[1, 8] };
    let models = [("vit_small", 6), ("vit_base", 12)];
    models
        .iter()
        .flat_map(|&(name, heads)| batches.iter().map(move |&batch| Shape { name, batch, heads }))
        .collect()
}

/// What a kernel must have written before its time counts.
enum Want<'a> {
    Floats(&'a [f32]),
    Numbers(&'a [u32]),
}

/// Times a call in every variant. `prepare` gives the dispatch and the buffer that it writes.
fn time(
    criterion: &mut Criterion,
    spec: &KernelSpec,
    call: String,
    throughput: Throughput,
    want: Want<'_>,
    prepare: impl Fn(&Rig) -> (Dispatch, wgpu::Buffer),
) {
    let mut group = group(criterion, spec.name);
    group.throughput(throughput);
    for rig in rigs_for(spec) {
        let (dispatch, written) = prepare(rig);
        rig.run(std::slice::from_ref(&dispatch));
        let what = format!("{} {call} {}", spec.name, rig.id());
        match want {
            // Far above rounding and far below what a wrong kernel gives; the tests are stricter.
            Want::Floats(want) => {
                // Kernels write first what is looked at.
                let first = spec.bindings.iter().map(|(_, access)| *access).find(|access| access.writes());
                let stored = first != Some(Access::Write);
                let count = want.len() as u32;
                let got = if stored { rig.read_elems(&written, count) } else { rig.read(&written, count) };
                close(what, &got, want, Tol { abs: 1e-3, rel: 1e-3 })
            }
            Want::Numbers(want) => same(what, &rig.read(&written, want.len() as u32), want),
        }
        group.bench_function(BenchmarkId::new(&call, rig.id()), |bencher| {
            bencher.iter_custom(|count| rig.elapsed(count, |pass| dispatch.encode(pass)));
        });
    }
}

fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
) -> criterion::BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    group
}

/// Bytes of 4-byte elements.
fn bytes(elements: u32) -> Throughput {
    Throughput::BytesDecimal(u64::from(elements) * 4)
}

fn flops(factors: &[u32]) -> Throughput {
    Throughput::Elements(factors.iter().map(|&f| u64::from(f)).product())
}

fn embed_patches(criterion: &mut Criterion) {
    for shape in shapes() {
        let channels = shape.channels();
        let params = embed_patches::Params {
            batch: shape.batch,
            image_channels: 3,
            height: 224,
            width: 224,
            patch_height: 16,
            patch_width: 16,
            prefix: 1,
            channels,
            ..Default::default()
        };
        let mut random = shape.random();
        let image = random.floats(shape.batch * 3 * 224 * 224);
        let [w, bias] = [768 * channels, channels].map(|len| random.floats(len));
        let [position, first] = [196 * channels, channels].map(|len| random.floats(len));
        let mut want = vec![0.0; (shape.rows() * channels) as usize];
        cpu::embed_patches(&params, &image, None, &w, &bias, &position, Some(&first), &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[2, shape.batch, 196, 768, channels]);
        time(criterion, &embed_patches::SPEC, call, work, Want::Floats(&want), |rig| {
            let [image, bias] = [&image, &bias].map(|data| rig.data(data));
            let w = rig.elems(&w);
            let [position, first] = [&position, &first].map(|data| rig.data(data));
            let y = rig.unwritten(shape.rows() * channels);
            let io = embed_patches::Io {
                image: (&image).into(),
                normal: None,
                w: (&w).into(),
                bias: (&bias).into(),
                position: (&position).into(),
                first: Some((&first).into()),
                y: (&y).into(),
            };
            (kernels::embed_patches(&rig.gpu, params, io).unwrap(), y)
        });
    }
}

fn layer_norm(criterion: &mut Criterion) {
    for shape in shapes() {
        let (rows, channels) = (shape.rows(), shape.channels());
        let params = layer_norm::Params { rows, channels, eps: 1e-6, ..Default::default() };
        let len = params.rows * params.channels;
        let mut random = shape.random();
        let [x, weight, bias] = [len, params.channels, params.channels].map(|len| random.floats(len));
        let mut want = vec![0.0; len as usize];
        cpu::layer_norm(&params, &x, Some(&weight), Some(&bias), &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        time(criterion, &layer_norm::SPEC, call, bytes(2 * len), Want::Floats(&want), |rig| {
            let [x, weight, bias] = [&x, &weight, &bias].map(|data| rig.data(data));
            let y = rig.unwritten(len);
            let io = layer_norm::Io {
                x: (&x).into(),
                weight: Some((&weight).into()),
                bias: Some((&bias).into()),
                y: (&y).into(),
            };
            (kernels::layer_norm(&rig.gpu, params, io).unwrap(), y)
        });
    }
}

fn matmul(criterion: &mut Criterion) {
    for shape in shapes() {
        let c = shape.channels();
        for (layer, inner, columns, activation) in [
            ("qkv", c, 3 * c, matmul::Activation::None),
            ("proj", c, c, matmul::Activation::None),
            ("fc1", c, 4 * c, matmul::Activation::Gelu),
            ("fc2", 4 * c, c, matmul::Activation::None),
        ] {
            let rows = shape.rows();
            let params = matmul::Params { rows, inner, columns, activation, ..Default::default() };
            let mut random = shape.random();
            let [x, w, bias] = [rows * inner, columns * inner, columns].map(|len| random.floats(len));
            let mut want = vec![0.0; (rows * columns) as usize];
            cpu::matmul(&params, &x, &w, Some(&bias), None, None, None, &mut want);
            let call = format!("{}/batch {} {layer}", shape.name, shape.batch);
            let work = flops(&[2, rows, inner, columns]);
            time(criterion, &matmul::SPEC, call, work, Want::Floats(&want), |rig| {
                let ([x, w], bias) = ([&x, &w].map(|data| rig.elems(data)), rig.data(&bias));
                let y = rig.unwritten(rows * columns);
                let io = matmul::Io {
                    x: (&x).into(),
                    w: (&w).into(),
                    bias: Some((&bias).into()),
                    scale: None,
                    gate: None,
                    residual: None,
                    y: (&y).into(),
                };
                (kernels::matmul(&rig.gpu, params, io).unwrap(), y)
            });
        }
    }
}

fn attention(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = attention::Params::fused(shape.batch, TOKENS, shape.heads, HEAD_WIDTH);
        let mut random = shape.random();
        let qkv = random.floats(shape.rows() * params.stride);
        let size = random.sizes(shape.rows());
        let mut want = vec![0.0; (shape.rows() * shape.channels()) as usize];
        cpu::attention(&params, &qkv, &qkv, &qkv, Some(&size), &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[4, shape.rows(), TOKENS, shape.channels()]);
        time(criterion, &attention::SPEC, call, work, Want::Floats(&want), |rig| {
            let (qkv, size) = (rig.elems(&qkv), rig.data(&size));
            let y = rig.unwritten(shape.rows() * shape.channels());
            let [q, k, v] = [(); 3].map(|()| (&qkv).into());
            let io = attention::Io { q, k, v, size: Some((&size).into()), y: (&y).into() };
            (kernels::attention(&rig.gpu, params, io).unwrap(), y)
        });
    }
}

fn norm_heads(criterion: &mut Criterion) {
    for shape in shapes() {
        let (rows, stride) = (shape.rows(), 3 * shape.channels());
        let params =
            norm_heads::Params { rows, heads: shape.heads, head_width: HEAD_WIDTH, stride, eps: 1e-6 };
        let mut random = shape.random();
        let [weight, bias] = [(); 2].map(|()| random.floats(2 * HEAD_WIDTH));
        let x = random.floats(rows * stride);
        let mut want = x.clone();
        cpu::norm_heads(&params, &weight, &bias, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes(4 * rows * shape.channels());
        time(criterion, &norm_heads::SPEC, call, work, Want::Floats(&want), |rig| {
            let ([weight, bias], x) = ([&weight, &bias].map(|data| rig.data(data)), rig.elems(&x));
            let io = norm_heads::Io { weight: (&weight).into(), bias: (&bias).into(), x: (&x).into() };
            (kernels::norm_heads(&rig.gpu, params, io).unwrap(), x)
        });
    }
}

fn key_metric(criterion: &mut Criterion) {
    for shape in shapes() {
        let c = shape.channels();
        let rows = shape.rows();
        let params = key_metric::Params {
            rows,
            heads: shape.heads,
            head_width: HEAD_WIDTH,
            stride: 3 * c,
            start: c,
            unit: 1,
        };
        let keys = shape.random().floats(rows * 3 * c);
        let mut want = vec![0.0; (rows * HEAD_WIDTH) as usize];
        cpu::key_metric(&params, &keys, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes(rows * (c + HEAD_WIDTH));
        time(criterion, &key_metric::SPEC, call, work, Want::Floats(&want), |rig| {
            let (keys, metric) = (rig.elems(&keys), rig.unwritten(rows * HEAD_WIDTH));
            let io = key_metric::Io { keys: (&keys).into(), metric: (&metric).into() };
            (kernels::key_metric(&rig.gpu, params, io).unwrap(), metric)
        });
    }
}

/// Metrics as key_metric leaves them.
fn metric(shape: Shape) -> Vec<f32> {
    let mut metric = vec![0.0; (shape.rows() * HEAD_WIDTH) as usize];
    let params = key_metric::Params {
        rows: shape.rows(),
        heads: 1,
        head_width: HEAD_WIDTH,
        stride: HEAD_WIDTH,
        start: 0,
        unit: 1,
    };
    cpu::key_metric(&params, &shape.random().floats(shape.rows() * HEAD_WIDTH), &mut metric);
    metric
}

/// Scores and best edges as find_matches leaves them.
fn edges(shape: Shape) -> (Vec<f32>, Vec<u32>) {
    let params = find_matches::Params {
        batch: shape.batch,
        tokens: TOKENS,
        width: HEAD_WIDTH,
        protect: 1,
        ..Default::default()
    };
    let evens = (shape.batch * TOKENS.div_ceil(2)) as usize;
    let (mut score, mut best) = (vec![0.0; evens], vec![0; evens]);
    cpu::find_matches(&params, &metric(shape), None, &mut score, &mut best);
    (score, best)
}

/// A plan as rank_matches leaves it.
fn plan(shape: Shape) -> Vec<u32> {
    let params =
        rank_matches::Params { batch: shape.batch, tokens: TOKENS, r: R, protect: 1, ..Default::default() };
    let (score, best) = edges(shape);
    let (mut rank, mut plan) = (vec![0; score.len()], vec![0; (shape.batch * params.plan_len()) as usize]);
    cpu::rank_matches(&params, &score, &best, None, &mut rank, &mut plan);
    plan
}

fn find_matches(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = find_matches::Params {
            batch: shape.batch,
            tokens: TOKENS,
            width: HEAD_WIDTH,
            protect: 1,
            ..Default::default()
        };
        let metric = metric(shape);
        let (want, _) = edges(shape);
        let evens = want.len() as u32;
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[2, evens, TOKENS / 2, HEAD_WIDTH]);
        time(criterion, &find_matches::SPEC, call, work, Want::Floats(&want), |rig| {
            let (metric, score, best) = (rig.data(&metric), rig.unwritten(evens), rig.unwritten(evens));
            let io = find_matches::Io {
                metric: (&metric).into(),
                split: None,
                score: (&score).into(),
                best: (&best).into(),
            };
            (kernels::find_matches(&rig.gpu, params, io).unwrap(), score)
        });
    }
}

fn split_tokens(criterion: &mut Criterion) {
    for shape in shapes() {
        let partition = Partition::Random { seed: 1 };
        let params = partition.split(shape.batch, TOKENS, 1, R).expect("a list");
        let mut want = vec![0; shape.rows() as usize];
        cpu::split_tokens(&params, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        time(criterion, &split_tokens::SPEC, call, bytes(shape.rows()), Want::Numbers(&want), |rig| {
            let split = rig.unwritten(shape.rows());
            let io = split_tokens::Io { split: (&split).into() };
            (kernels::split_tokens(&rig.gpu, params, io).unwrap(), split)
        });
    }
}

fn rank_matches(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = rank_matches::Params {
            batch: shape.batch,
            tokens: TOKENS,
            r: R,
            protect: 1,
            ..Default::default()
        };
        let (score, best) = edges(shape);
        let want = plan(shape);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes((3 * score.len() + want.len()) as u32);
        time(criterion, &rank_matches::SPEC, call, work, Want::Numbers(&want), |rig| {
            let (score, best) = (rig.data(&score), rig.data(&best));
            let (rank, plan) = (rig.unwritten(shape.rows()), rig.unwritten(want.len() as u32));
            let io = rank_matches::Io {
                score: (&score).into(),
                best: (&best).into(),
                split: None,
                rank: (&rank).into(),
                plan: (&plan).into(),
            };
            (kernels::rank_matches(&rig.gpu, params, io).unwrap(), plan)
        });
    }
}

fn merge_tokens(criterion: &mut Criterion) {
    for shape in shapes() {
        let Shape { batch, .. } = shape;
        let channels = shape.channels();
        let params = merge_tokens::Params {
            batch,
            tokens: TOKENS,
            r: R,
            channels,
            sources: TOKENS,
            ..Default::default()
        };
        let plan = plan(shape);
        let mut random = shape.random();
        let x = random.floats(shape.rows() * channels);
        let size = random.sizes(shape.rows());
        let source: Vec<u32> = (0..batch).flat_map(|_| 0..TOKENS).collect();
        let merged = batch * (TOKENS - R);
        let mut want = vec![0.0; (merged * channels) as usize];
        let (mut size_out, mut source_out) = (vec![0.0; merged as usize], vec![0; source.len()]);
        let mut normed = want.clone();
        cpu::merge_tokens(
            &params,
            &plan,
            &x,
            Some(&size),
            Some(&source),
            &mut want,
            &mut size_out,
            &mut source_out,
            Some(&mut normed),
        );
        let call = format!("{}/batch {batch}", shape.name);
        let work = bytes((shape.rows() + 2 * merged) * channels);
        time(criterion, &merge_tokens::SPEC, call, work, Want::Floats(&want), |rig| {
            let (plan, source) = (rig.data(&plan), rig.data(&source));
            let (x, size) = (rig.data(&x), rig.data(&size));
            let [x_out, size_out, source_out, normed] =
                [merged * channels, merged, shape.rows(), merged * channels].map(|len| rig.unwritten(len));
            let io = merge_tokens::Io {
                plan: (&plan).into(),
                x: (&x).into(),
                size: Some((&size).into()),
                source: Some((&source).into()),
                x_out: (&x_out).into(),
                size_out: (&size_out).into(),
                source_out: (&source_out).into(),
                normed: Some((&normed).into()),
            };
            (kernels::merge_tokens(&rig.gpu, params, io).unwrap(), x_out)
        });
    }
}

fn pool(criterion: &mut Criterion) {
    for shape in shapes() {
        let (batch, channels) = (shape.batch, shape.channels());
        let params =
            pool::Params { batch, tokens: TOKENS, channels, first: 1, mode: pool::PoolMode::MeanBySize };
        let mut random = shape.random();
        let (x, size) = (random.floats(shape.rows() * channels), random.sizes(shape.rows()));
        let mut want = vec![0.0; (batch * channels) as usize];
        cpu::pool(&params, &x, Some(&size), &mut want);
        let call = format!("{}/batch {batch}", shape.name);
        time(criterion, &pool::SPEC, call, bytes(shape.rows() * channels), Want::Floats(&want), |rig| {
            let (x, size, y) = (rig.data(&x), rig.data(&size), rig.unwritten(batch * channels));
            let io = pool::Io { x: (&x).into(), size: Some((&size).into()), y: (&y).into() };
            (kernels::pool(&rig.gpu, params, io).unwrap(), y)
        });
    }
}

fn unmerge(criterion: &mut Criterion) {
    for shape in shapes() {
        let (batch, channels, tokens) = (shape.batch, shape.channels(), TOKENS - R);
        let params = unmerge::Params { batch, tokens, sources: TOKENS, channels, ..Default::default() };
        let mut random = shape.random();
        let x = random.floats(batch * tokens * channels);
        let source: Vec<u32> = (0..shape.rows()).map(|_| random.below(tokens)).collect();
        let mut want = vec![0.0; (shape.rows() * channels) as usize];
        cpu::unmerge(&params, &x, &source, None, &mut want);
        let call = format!("{}/batch {batch}", shape.name);
        let work = bytes(2 * shape.rows() * channels);
        time(criterion, &unmerge::SPEC, call, work, Want::Floats(&want), |rig| {
            let (x, source, y) = (rig.data(&x), rig.data(&source), rig.unwritten(shape.rows() * channels));
            let io = unmerge::Io { x: (&x).into(), source: (&source).into(), residual: None, y: (&y).into() };
            (kernels::unmerge(&rig.gpu, params, io).unwrap(), y)
        });
    }
}

criterion_group!(
    benches,
    embed_patches,
    layer_norm,
    matmul,
    norm_heads,
    attention,
    key_metric,
    split_tokens,
    find_matches,
    rank_matches,
    merge_tokens,
    pool,
    unmerge,
);
criterion_main!(benches);
