// Storage type of weights: 16-bit floats. Twin of weight_f32.wgsl.
alias Weight4 = vec4<f16>;
