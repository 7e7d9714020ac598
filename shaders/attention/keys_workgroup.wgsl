// Eight keys at a time, brought to workgroup memory by all lanes together. lanes.wgsl defines Head,
// k_load, v_load and bias_of. Twin of keys_lane.wgsl and keys_subgroup.wgsl.
var<workgroup> k_eight: array<vec4<f32>, 8u * WIDTH4>;
var<workgroup> v_eight: array<vec4<f32>, 8u * WIDTH4>;
var<workgroup> bias_eight: array<f32, 8>;

// They lie in workgroup memory.
struct Keys {
    first: u32,
}

// Keys `first` to `first + 7`.
fn eight_keys(lane: Lane, head: Head, first: u32) -> Keys {
    workgroupBarrier(); // the previous keys' readers are done
    for (var at = lane.index; at < 8u * WIDTH4; at += ATTEND_LANES) {
        k_eight[at] = k_load(head, first + at / WIDTH4, at % WIDTH4);
        v_eight[at] = v_load(head, first + at / WIDTH4, at % WIDTH4);
    }
    if lane.index < 8u {
        bias_eight[lane.index] = bias_of(head, first + lane.index);
    }
    workgroupBarrier();
    return Keys(first);
}

// Values 4 i to 4 i + 3 of each key.
fn key_vectors(keys: Keys, i: u32) -> array<vec4<f32>, 8> {
    var vectors: array<vec4<f32>, 8>;
    for (var j = 0u; j < 8u; j++) {
        vectors[j] = k_eight[j * WIDTH4 + i];
    }
    return vectors;
}

// The same of what each key stands for.
fn value_vectors(keys: Keys, i: u32) -> array<vec4<f32>, 8> {
    var vectors: array<vec4<f32>, 8>;
    for (var j = 0u; j < 8u; j++) {
        vectors[j] = v_eight[j * WIDTH4 + i];
    }
    return vectors;
}

fn key_bias(keys: Keys, j: u32) -> f32 {
    return bias_eight[j];
}
