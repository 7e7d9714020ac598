// Storage type of activations: 32-bit floats. Twin of elem_f16.wgsl.
alias Elem = f32;
alias Elem4 = vec4<f32>;

// Four of them as they lie in a buffer that is only read.
alias Packed4 = vec4<f32>;

fn unpack4(v: Packed4) -> vec4<f32> {
    return v;
}
