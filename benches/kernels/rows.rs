//! What works on single rows.

use criterion::Criterion;
use tome_wgpu::cpu;
use tome_wgpu::kernels::{self, *};

use super::{HEAD_WIDTH, TOKENS, Want, bytes, shapes, time};

pub fn layer_norm(criterion: &mut Criterion) {
    for shape in shapes() {
        let (rows, channels) = (shape.rows(), shape.channels());
        let params = layer_norm::Params::new(rows, channels, 1e-6);
        let len = params.rows * params.channels;
        let mut random = shape.random();
        let [x, weight, bias] = [len, params.channels, params.channels].map(|len| random.floats(len));
        let mut want = vec![0.0; len as usize];
        cpu::layer_norm(&params, &x, Some(&weight), Some(&bias), None, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        time(criterion, &layer_norm::SPEC, call, bytes(2 * len), Want::Floats(&want), |rig| {
            let [x, weight, bias] = [&x, &weight, &bias].map(|data| rig.data(data));
            let y = rig.unwritten(len);
            let io = layer_norm::Io::new(&x, &y).weight(&weight).bias(&bias);
            (kernels::layer_norm(&rig.gpu, params, io).unwrap(), y)
        });
    }
}

pub fn norm_heads(criterion: &mut Criterion) {
    for shape in shapes() {
        let (rows, stride) = (shape.rows(), 3 * shape.channels());
        let params = norm_heads::Params::fused(rows, shape.heads, HEAD_WIDTH, 1e-6);
        let mut random = shape.random();
        let [weight, bias] = [(); 2].map(|()| random.floats(2 * HEAD_WIDTH));
        let x = random.floats(rows * stride);
        let mut want = x.clone();
        cpu::norm_heads(&params, Some(&weight), Some(&bias), None, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = bytes(4 * rows * shape.channels());
        time(criterion, &norm_heads::SPEC, call, work, Want::Floats(&want), |rig| {
            let ([weight, bias], x) = ([&weight, &bias].map(|data| rig.data(data)), rig.elems(&x));
            let io = norm_heads::Io::new(&x).weight(&weight).bias(&bias);
            (kernels::norm_heads(&rig.gpu, params, io).unwrap(), x)
        });
    }
}

pub fn pool(criterion: &mut Criterion) {
    for shape in shapes() {
        let (batch, channels) = (shape.batch, shape.channels());
        let params = pool::Params::new([batch, TOKENS, channels], 1, PoolMode::MeanBySize);
        let mut random = shape.random();
        let (x, size) = (random.floats(shape.rows() * channels), random.sizes(shape.rows()));
        let mut want = vec![0.0; (batch * channels) as usize];
        cpu::pool(&params, &x, Some(&size), &mut want);
        let call = format!("{}/batch {batch}", shape.name);
        time(criterion, &pool::SPEC, call, bytes(shape.rows() * channels), Want::Floats(&want), |rig| {
            let (x, size, y) = (rig.data(&x), rig.data(&size), rig.unwritten(batch * channels));
            let io = pool::Io::new(&x, &y).size(&size);
            (kernels::pool(&rig.gpu, params, io).unwrap(), y)
        });
    }
}
