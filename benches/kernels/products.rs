//! Products of matrices.

use criterion::Criterion;
use tome_wgpu::cpu;
use tome_wgpu::kernels::{self, *};

use super::{HEAD_WIDTH, TOKENS, Want, flops, shapes, time};

pub fn embed_patches(criterion: &mut Criterion) {
    for shape in shapes() {
        let channels = shape.channels();
        let params = embed_patches::Params::pictures(shape.batch, [3, 224, 224], [16, 16], 1, channels);
        let mut random = shape.random();
        let image = random.floats(shape.batch * 3 * 224 * 224);
        let [w, base] = [768 * channels, TOKENS * channels].map(|len| random.floats(len));
        let mut want = vec![0.0; (shape.rows() * channels) as usize];
        cpu::embed_patches(&params, &image, &w, &base, None, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[2, shape.batch, 196, 768, channels]);
        time(criterion, &embed_patches::SPEC, call, work, Want::Floats(&want), |rig| {
            let ([image, base], w) = ([&image, &base].map(|data| rig.data(data)), rig.weights(&w));
            let y = rig.unwritten(shape.rows() * channels);
            let io = embed_patches::Io::new(&image, &w, &base, &y);
            (kernels::embed_patches(&rig.gpu, params, io).unwrap(), y)
        });
    }
}

pub fn matmul(criterion: &mut Criterion) {
    for shape in shapes() {
        let c = shape.channels();
        for (layer, inner, columns, activation) in [
            ("qkv", c, 3 * c, Activation::None),
            ("proj", c, c, Activation::None),
            ("fc1", c, 4 * c, Activation::Gelu),
            ("fc2", 4 * c, c, Activation::None),
        ] {
            let rows = shape.rows();
            let params = matmul::Params::new(rows, inner, columns).activation(activation);
            let mut random = shape.random();
            let [x, w, bias] = [rows * inner, columns * inner, columns].map(|len| random.floats(len));
            let mut want = vec![0.0; (rows * columns) as usize];
            cpu::matmul(&params, &x, &w, Some(&bias), None, None, None, &mut want);
            let call = format!("{}/batch {} {layer}", shape.name, shape.batch);
            let work = flops(&[2, rows, inner, columns]);
            time(criterion, &matmul::SPEC, call, work, Want::Floats(&want), |rig| {
                let (x, w, bias) = (rig.elems(&x), rig.weights(&w), rig.data(&bias));
                let y = rig.unwritten(rows * columns);
                let io = matmul::Io::new(&x, &w, &y).bias(&bias);
                (kernels::matmul(&rig.gpu, params, io).unwrap(), y)
            });
        }
    }
}

pub fn attention(criterion: &mut Criterion) {
    for shape in shapes() {
        let params = attention::Params::fused(shape.batch, TOKENS, shape.heads, HEAD_WIDTH);
        let mut random = shape.random();
        let qkv = random.floats(shape.rows() * params.stride);
        let size = random.sizes(shape.rows());
        let mut want = vec![0.0; (shape.rows() * shape.channels()) as usize];
        cpu::attention(&params, &qkv, &qkv, &qkv, Some(&size), None, &mut want);
        let call = format!("{}/batch {}", shape.name, shape.batch);
        let work = flops(&[4, shape.rows(), TOKENS, shape.channels()]);
        time(criterion, &attention::SPEC, call, work, Want::Floats(&want), |rig| {
            let (qkv, size) = (rig.elems(&qkv), rig.data(&size));
            let y = rig.unwritten(shape.rows() * shape.channels());
            let io = attention::Io::new(&qkv, &qkv, &qkv, &y).size(&size);
            (kernels::attention(&rig.gpu, params, io).unwrap(), y)
        });
    }
}
