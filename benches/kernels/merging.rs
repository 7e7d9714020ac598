//! Matching and merging.

use criterion::Criterion;
use tome_wgpu::kernels::{self, *};
use tome_wgpu::{Partition, cpu};

use super::{HEAD_WIDTH, R, Shape, TOKENS, Want, bytes, flops, shapes, time};

pub fn key_metric(criterion: &mut Criterion) {
    for shape in shapes() {
        let c = shape.channels();
        let rows = shape.rows();
        let params = key_metric::Params::fused(rows, shape.heads, HEAD_WIDTH);
        let keys = shape.random().floats(rows * 3 * c);
        let mut want = vec![0.0; (rows * HEAD_WIDTH) as usize];
        cpu::key_metric(&params, &keys, None, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes(rows * (c + HEAD_WIDTH));
        time(criterion, &key_metric::SPEC, call, work, Want::Floats(&want), |rig| {
            let (keys, metric) = (rig.elems(&keys), rig.unwritten(rows * HEAD_WIDTH));
            let io = key_metric::Io::new(&keys, &metric);
            (kernels::key_metric(&rig.gpu, params, io).unwrap(), metric)
        });
    }
}

/// Metrics as key_metric leaves them.
fn metric(shape: Shape) -> Vec<f32> {
    let mut metric = vec![0.0; (shape.rows() * HEAD_WIDTH) as usize];
    let params = key_metric::Params::of_rows(shape.rows(), HEAD_WIDTH);
    cpu::key_metric(&params, &shape.random().floats(shape.rows() * HEAD_WIDTH), None, &mut metric);
    metric
}

/// Scores and best edges as find_matches leaves them.
fn edges(shape: Shape) -> (Vec<f32>, Vec<u32>) {
    let params = find_matches::Params::new(shape.batch, TOKENS, HEAD_WIDTH, 1);
    let evens = (shape.batch * TOKENS.div_ceil(2)) as usize;
    let (mut score, mut best) = (vec![0.0; evens], vec![0; evens]);
    cpu::find_matches(&params, &metric(shape), None, None, &mut score, &mut best);
    (score, best)
}

/// A plan as rank_matches leaves it.
fn plan(shape: Shape) -> Vec<u32> {
    let params = rank_matches::Params::new(shape.batch, TOKENS, R, 1);
    let (score, best) = edges(shape);
    let (mut rank, mut plan) = (vec![0; score.len()], vec![0; (shape.batch * params.plan_len()) as usize]);
    cpu::rank_matches(&params, &score, &best, None, &mut rank, &mut plan);
    plan
}

pub fn token_energy(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = token_energy::Params::new([shape.batch, TOKENS, HEAD_WIDTH], 1, 0.45);
        let metric = metric(shape);
        let mut want = vec![0.0; shape.rows() as usize];
        cpu::token_energy(&params, &metric, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[2, shape.rows(), TOKENS - 1, HEAD_WIDTH]);
        time(criterion, &token_energy::SPEC, call, work, Want::Floats(&want), |rig| {
            let (metric, energy) = (rig.data(&metric), rig.unwritten(shape.rows()));
            let io = token_energy::Io::new(&metric, &energy);
            (kernels::token_energy(&rig.gpu, params, io).unwrap(), energy)
        });
    }
}

pub fn split_tokens(criterion: &mut Criterion) {
    for shape in shapes() {
        let partition = Partition::Random { seed: 1 };
        let params = partition.split(shape.batch, TOKENS, 1, R).expect("a list");
        let mut want = vec![0; shape.rows() as usize];
        cpu::split_tokens(&params, None, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        time(criterion, &split_tokens::SPEC, call, bytes(shape.rows()), Want::Numbers(&want), |rig| {
            let split = rig.unwritten(shape.rows());
            let io = split_tokens::Io::new(&split);
            (kernels::split_tokens(&rig.gpu, params, io).unwrap(), split)
        });
    }
}

pub fn find_matches(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = find_matches::Params::new(shape.batch, TOKENS, HEAD_WIDTH, 1);
        let metric = metric(shape);
        let (want, _) = edges(shape);
        let evens = want.len() as u32;
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[2, evens, TOKENS / 2, HEAD_WIDTH]);
        time(criterion, &find_matches::SPEC, call, work, Want::Floats(&want), |rig| {
            let (metric, score, best) = (rig.data(&metric), rig.unwritten(evens), rig.unwritten(evens));
            let io = find_matches::Io::new(&metric, &score, &best);
            (kernels::find_matches(&rig.gpu, params, io).unwrap(), score)
        });
    }
}

pub fn rank_matches(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = rank_matches::Params::new(shape.batch, TOKENS, R, 1);
        let (score, best) = edges(shape);
        let want = plan(shape);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes((3 * score.len() + want.len()) as u32);
        time(criterion, &rank_matches::SPEC, call, work, Want::Numbers(&want), |rig| {
            let (score, best) = (rig.data(&score), rig.data(&best));
            let (rank, plan) = (rig.unwritten(shape.rows()), rig.unwritten(want.len() as u32));
            let io = rank_matches::Io::new(&score, &best, &rank, &plan);
            (kernels::rank_matches(&rig.gpu, params, io).unwrap(), plan)
        });
    }
}

pub fn choose_matches(criterion: &mut Criterion) {
    for shape in shapes() {
        let mut params = choose_matches::Params::default();
        (params.batch, params.tokens, params.protect) = (shape.batch, TOKENS, 1);
        (params.r, params.least, params.threshold) = (2 * R, R / 2, 0.2);
        let (score, best) = edges(shape);
        let mut want = vec![0; (shape.batch * params.plan_len()) as usize];
        let (mut rank, mut mask) = (vec![0; score.len()], vec![0.0; shape.rows() as usize]);
        cpu::choose_matches(&params, &score, &best, None, &mut rank, &mut want, &mut mask);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes((3 * score.len() + want.len()) as u32);
        time(criterion, &choose_matches::SPEC, call, work, Want::Numbers(&want), |rig| {
            let (score, best) = (rig.data(&score), rig.data(&best));
            let [rank, mask] = [(); 2].map(|()| rig.unwritten(shape.rows()));
            let plan = rig.unwritten(want.len() as u32);
            let io = choose_matches::Io::new(&score, &best, &rank, &plan, &mask);
            (kernels::choose_matches(&rig.gpu, params, io).unwrap(), plan)
        });
    }
}

pub fn match_lines(criterion: &mut Criterion) {
    for shape in shapes() {
        // 14 x 14 patches, of which each row loses one.
        let params = match_lines::Params::new(shape.batch, HEAD_WIDTH, 1, [14, 14], 1);
        let metric = metric(shape);
        let mut want = vec![0; (shape.batch * params.plan_len()) as usize];
        cpu::match_lines(&params, &metric, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes(shape.rows() * HEAD_WIDTH + want.len() as u32);
        time(criterion, &match_lines::SPEC, call, work, Want::Numbers(&want), |rig| {
            let (metric, plan) = (rig.data(&metric), rig.unwritten(want.len() as u32));
            let io = match_lines::Io::new(&metric, &plan);
            (kernels::match_lines(&rig.gpu, params, io).unwrap(), plan)
        });
    }
}

pub fn match_frames(criterion: &mut Criterion) {
    for shape in shapes() {
        // ViViT's 16 steps in time of 14 x 14 tubelets and a class token.
        let params = match_frames::Params::new(shape.batch, HEAD_WIDTH, 1, [16, 196], 4);
        let rows = params.batch * params.tokens;
        let mut metric = vec![0.0; (rows * HEAD_WIDTH) as usize];
        let of_rows = key_metric::Params::of_rows(rows, HEAD_WIDTH);
        cpu::key_metric(&of_rows, &shape.random().floats(rows * HEAD_WIDTH), None, &mut metric);
        let mut want = vec![0; (shape.batch * params.plan_len()) as usize];
        cpu::match_frames(&params, &metric, None, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[2, shape.batch * 16, 98, 98, HEAD_WIDTH]);
        time(criterion, &match_frames::SPEC, call, work, Want::Numbers(&want), |rig| {
            let (metric, plan) = (rig.data(&metric), rig.unwritten(want.len() as u32));
            let io = match_frames::Io::new(&metric, &plan);
            (kernels::match_frames(&rig.gpu, params, io).unwrap(), plan)
        });
    }
}

pub fn merge_tokens(criterion: &mut Criterion) {
    for shape in shapes() {
        let Shape { batch, .. } = shape;
        let channels = shape.channels();
        let params = merge_tokens::Params::new([batch, TOKENS, channels], R);
        let plan = plan(shape);
        let mut random = shape.random();
        let x = random.floats(shape.rows() * channels);
        let size = random.sizes(shape.rows());
        let merged = batch * (TOKENS - R);
        let mut want = vec![0.0; (merged * channels) as usize];
        let mut size_out = vec![0.0; merged as usize];
        let mut normed = want.clone();
        let (sizes, and_normed) = (Some(&size[..]), Some(&mut normed[..]));
        cpu::merge_tokens(&params, &plan, &x, sizes, &mut want, &mut size_out, and_normed, None);
        let call = format!("{}/batch {batch}", shape.name);
        let work = bytes((shape.rows() + 2 * merged) * channels);
        time(criterion, &merge_tokens::SPEC, call, work, Want::Floats(&want), |rig| {
            let plan = rig.data(&plan);
            let (x, size) = (rig.data(&x), rig.data(&size));
            let [x_out, size_out, normed] =
                [merged * channels, merged, merged * channels].map(|len| rig.unwritten(len));
            let io = merge_tokens::Io::new(&plan, &x, &x_out, &size_out).size(&size).normed(&normed);
            (kernels::merge_tokens(&rig.gpu, params, io).unwrap(), x_out)
        });
    }
}

pub fn merge_source(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = merge_source::Params::new(shape.batch, TOKENS, R, TOKENS);
        let plan = plan(shape);
        let mut random = shape.random();
        let source: Vec<u32> = (0..shape.rows()).map(|_| random.below(TOKENS)).collect();
        let mut want = vec![0; source.len()];
        cpu::merge_source(&params, &plan, Some(&source), &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes(3 * shape.rows());
        time(criterion, &merge_source::SPEC, call, work, Want::Numbers(&want), |rig| {
            let (plan, source) = (rig.data(&plan), rig.data(&source));
            let source_out = rig.unwritten(shape.rows());
            let io = merge_source::Io::new(&plan, &source_out).source(&source);
            (kernels::merge_source(&rig.gpu, params, io).unwrap(), source_out)
        });
    }
}

pub fn unmerge(criterion: &mut Criterion) {
    for shape in shapes() {
        let (batch, channels, tokens) = (shape.batch, shape.channels(), TOKENS - R);
        let params = unmerge::Params::new(batch, tokens, TOKENS, channels);
        let mut random = shape.random();
        let x = random.floats(batch * tokens * channels);
        let source: Vec<u32> = (0..shape.rows()).map(|_| random.below(tokens)).collect();
        let mut want = vec![0.0; (shape.rows() * channels) as usize];
        cpu::unmerge(&params, &x, &source, None, &mut want);
        let call = format!("{}/batch {batch}", shape.name);
        let work = bytes(2 * shape.rows() * channels);
        time(criterion, &unmerge::SPEC, call, work, Want::Floats(&want), |rig| {
            let (x, source, y) = (rig.data(&x), rig.data(&source), rig.unwritten(shape.rows() * channels));
            let io = unmerge::Io::new(&x, &source, &y);
            (kernels::unmerge(&rig.gpu, params, io).unwrap(), y)
        });
    }
}
