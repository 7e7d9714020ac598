// Storage type of activations: 16-bit floats. Twin of elem_f32.wgsl.
alias Elem = f16;
alias Elem4 = vec4<f16>;
