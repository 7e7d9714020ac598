// Storage type of weights: 32-bit floats, four as they lie in their buffer. Twin of weight_f16.wgsl.
alias Weight4 = vec4<f32>;

fn weight4(v: Weight4) -> vec4<f32> {
    return v;
}
