// Eight keys at a time, each read by one of eight neighbouring lanes of a subgroup and handed round. lanes.wgsl
// defines Head, k_load, v_load and bias_of. Twin of keys_lane.wgsl.
// The key of this lane, and all biases.
struct Keys {
    head: Head,
    own: u32,
    biases: array<f32, 8>,
}

// Keys `first` to `first + 7`.
fn eight_keys(lane: Lane, head: Head, first: u32) -> Keys {
    let own = first + lane.place % 8u;
    let bias = bias_of(head, own);
    return Keys(head, own, array<f32, 8>(
        subgroupBroadcast(bias, 0u), subgroupBroadcast(bias, 1u), subgroupBroadcast(bias, 2u), subgroupBroadcast(bias, 3u),
        subgroupBroadcast(bias, 4u), subgroupBroadcast(bias, 5u), subgroupBroadcast(bias, 6u), subgroupBroadcast(bias, 7u),
    ));
}

// Values 4 i to 4 i + 3 of each key.
fn key_vectors(keys: Keys, i: u32) -> array<vec4<f32>, 8> {
    return hand_round(k_load(keys.head, keys.own, i));
}

// The same of what each key stands for.
fn value_vectors(keys: Keys, i: u32) -> array<vec4<f32>, 8> {
    return hand_round(v_load(keys.head, keys.own, i));
}

fn key_bias(keys: Keys, j: u32) -> f32 {
    return keys.biases[j];
}
