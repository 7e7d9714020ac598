// Eight keys at a time, which every lane reads by itself. lanes.wgsl defines Head, k_load, v_load and bias_of.
// Twin of keys_subgroup.wgsl.
// Keys `first` to `first + 7`.
struct Keys {
    head: Head,
    first: u32,
}

fn eight_keys(lane: Lane, head: Head, first: u32) -> Keys {
    return Keys(head, first);
}

// Values 4 i to 4 i + 3 of each key.
fn key_vectors(keys: Keys, i: u32) -> array<vec4<f32>, 8> {
    var vectors: array<vec4<f32>, 8>;
    for (var j = 0u; j < 8u; j++) {
        vectors[j] = k_load(keys.head, keys.first + j, i);
    }
    return vectors;
}

// The same of what each key stands for.
fn value_vectors(keys: Keys, i: u32) -> array<vec4<f32>, 8> {
    var vectors: array<vec4<f32>, 8>;
    for (var j = 0u; j < 8u; j++) {
        vectors[j] = v_load(keys.head, keys.first + j, i);
    }
    return vectors;
}

fn key_bias(keys: Keys, j: u32) -> f32 {
    return bias_of(keys.head, keys.first + j);
}
