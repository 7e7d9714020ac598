// Storage type of activations: 32-bit floats. Twin of elem_f16.wgsl.
alias Elem = f32;
alias Elem4 = vec4<f32>;
