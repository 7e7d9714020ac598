// Each lane keeps one query and walks all keys in chunks with a running maximum; all lanes of a workgroup read the same
// key at the same time. Twin of attend_cooperative.wgsl.
const ATTEND_LANES: u32 = 64u;
const QUERIES: u32 = 64u;
const CHUNK: u32 = 8u;

struct AttendLane {
    @builtin(local_invocation_index) index: u32,
}

// Queries `first` .. `first` + QUERIES of a head of an image.
fn attend(lane: AttendLane, item: u32, head: u32, first: u32) {
    let query = first + lane.index;
    if query >= params.queries {
        return;
    }
    let vectors = params.head_width / 4u;
    let stride = params.stride / 4u;
    let start = item * params.tokens * stride + head * vectors;
    let q_start = (params.q_start + item * params.q_image + query * params.q_stride) / 4u + head * vectors;
    let k_start = params.k_start / 4u + start;
    let v_start = params.v_start / 4u + start;

    var query_row: array<vec4<f32>, WIDTH4>;
    var sum_row: array<vec4<f32>, WIDTH4>;
    for (var i = 0u; i < WIDTH4; i++) {
        if i < vectors {
            query_row[i] = vec4<f32>(q[q_start + i]) * params.scale;
        }
    }
    var highest = LOWEST;
    var total = 0.0;
    for (var begin = 0u; begin < params.tokens; begin += CHUNK) {
        var scores: array<f32, CHUNK>;
        var chunk_highest = highest;
        for (var j = 0u; j < CHUNK; j++) {
            let key = min(begin + j, params.tokens - 1u);
            var product = vec4<f32>();
            for (var i = 0u; i < WIDTH4; i++) {
                if i < vectors {
                    product += query_row[i] * vec4<f32>(k[k_start + key * stride + i]);
                }
            }
            let score = dot(product, vec4<f32>(1.0)) + key_addend(item, key);
            scores[j] = select(LOWEST, score, begin + j < params.tokens);
            chunk_highest = max(chunk_highest, scores[j]);
        }
        // What has been summed so far was relative to the old maximum.
        let shrink = exp_f32(highest - chunk_highest);
        highest = chunk_highest;
        total *= shrink;
        for (var i = 0u; i < WIDTH4; i++) {
            sum_row[i] *= shrink;
        }
        for (var j = 0u; j < CHUNK; j++) {
            let key = min(begin + j, params.tokens - 1u);
            let weight = exp_f32(scores[j] - highest);
            total += weight;
            for (var i = 0u; i < WIDTH4; i++) {
                if i < vectors {
                    sum_row[i] += weight * vec4<f32>(v[v_start + key * stride + i]);
                }
            }
        }
    }
    let out = ((item * params.queries + query) * params.heads + head) * vectors;
    for (var i = 0u; i < WIDTH4; i++) {
        if i < vectors {
            y[out + i] = Elem4(sum_row[i] / total);
        }
    }
}
