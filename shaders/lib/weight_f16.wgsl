// Storage type of weights: 16-bit floats, four as they lie in their buffer. Twin of weight_f32.wgsl.
alias Weight4 = vec2<u32>;

fn weight4(v: Weight4) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
