// Storage type of activations: 16-bit floats. Twin of elem_f32.wgsl.
alias Elem = f16;
alias Elem4 = vec4<f16>;

// Four of them as they lie in a buffer that is only read. Drivers that check every access check halves one by one, words
// at once.
alias Packed4 = vec2<u32>;

fn unpack4(v: Packed4) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
