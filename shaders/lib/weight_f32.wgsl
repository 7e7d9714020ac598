// Storage type of weights: 32-bit floats. Twin of weight_f16.wgsl.
alias Weight4 = vec4<f32>;
