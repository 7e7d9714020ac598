// Each lane keeps one query and walks all keys by eights with a running maximum. How keys are read is in keys_lane.wgsl or
// keys_subgroup.wgsl. For software drivers; twin of blocks.wgsl and matrices.wgsl.
const ATTEND_LANES: u32 = QUERIES;

// Where a head's keys and values begin, and whose they are.
struct Head {
    k: u32,
    v: u32,
    item: u32,
}

// Past the last key and past a head's width the last one is read again: its bias is the lowest, its query is 0.
fn place_of(key: u32, i: u32) -> u32 {
    return min(key, params.tokens - 1u) * (params.stride / 4u) + min(i, params.head_width / 4u - 1u);
}

fn k_load(head: Head, key: u32, i: u32) -> vec4<f32> {
    return unpack4(k[head.k + place_of(key, i)]);
}

fn v_load(head: Head, key: u32, i: u32) -> vec4<f32> {
    return unpack4(v[head.v + place_of(key, i)]);
}

fn bias_of(head: Head, key: u32) -> f32 {
    if key >= params.tokens {
        return NONE;
    }
    return key_addend(head.item, key);
}

// Queries `first` .. `first` + QUERIES of a head of an image.
fn attend(lane: Lane, item: u32, head: u32, first: u32) {
    let vectors = params.head_width / 4u;
    let offset = head * vectors;
    let start = token_of(item, 0u) * (params.stride / 4u) + offset;
    let source = Head(params.k_start / 4u + start, params.v_start / 4u + start, item);
    // All lanes stay, since they read keys for each other.
    let query = first + lane.index;
    let asked = min(query, params.queries - 1u);
    let q_start = (params.q_start + item * params.q_image + asked * params.q_stride) / 4u + offset;

    // Loops over arrays go all the way, so that compilers unroll them and the arrays stay in registers.
    var query_row: array<vec4<f32>, WIDTH4>;
    var sum_row: array<vec4<f32>, WIDTH4>;
    for (var i = 0u; i < WIDTH4; i++) {
        let row = unpack4(q[q_start + min(i, vectors - 1u)]) * params.scale;
        query_row[i] = select(vec4<f32>(), row, i < vectors);
    }
    var highest = LOWEST;
    var total = 0.0;
    for (var key = 0u; key < params.tokens; key += 8u) {
        let keys = eight_keys(lane, source, key);
        var scores = array<f32, 8>();
        for (var i = 0u; i < WIDTH4; i++) {
            let eight = key_vectors(keys, i);
            for (var j = 0u; j < 8u; j++) {
                scores[j] += dot(query_row[i], eight[j]);
            }
        }
        if HAS_BIAS != 0u {
            let at = position_of(item, query);
            for (var j = 0u; j < 8u; j += 4u) {
                let biases = pair_biases(head, query, at, key + j, places_of(item, key + j));
                scores[j] += biases.x;
                scores[j + 1u] += biases.y;
                scores[j + 2u] += biases.z;
                scores[j + 3u] += biases.w;
            }
        }
        let before = highest;
        for (var j = 0u; j < 8u; j++) {
            scores[j] += key_bias(keys, j);
            highest = max(highest, scores[j]);
        }
        // What has been summed so far was relative to the old maximum.
        let shrink = exp_f32(before - highest);
        total *= shrink;
        for (var j = 0u; j < 8u; j++) {
            scores[j] = exp_f32(scores[j] - highest);
            total += scores[j];
        }
        for (var i = 0u; i < WIDTH4; i++) {
            let eight = value_vectors(keys, i);
            var sum = sum_row[i] * shrink;
            for (var j = 0u; j < 8u; j++) {
                sum += scores[j] * eight[j];
            }
            sum_row[i] = sum;
        }
    }
    if query >= params.queries {
        return;
    }
    let out = (item * params.queries + query) * params.heads * vectors + offset;
    for (var i = 0u; i < WIDTH4; i++) {
        if i < vectors {
            y[out + i] = Elem4(sum_row[i] / total);
        }
    }
}
