// y = softmax(q k^T * scale + ln size) v for each head. A token of size s counts as s equal tokens. Each lane
// keeps one query and walks all keys in chunks with a running maximum, so that scores are never stored; all
// lanes of a workgroup read the same key at the same time.
struct Params {
    batch: u32,
    queries: u32,
    tokens: u32,
    heads: u32,
    head_width: u32,
    q_image: u32,  // values between the queries of two images
    q_stride: u32, // values between two queries
    stride: u32,   // values between two tokens of k and v
    q_start: u32,  // first value of q, k, v in its buffer
    k_start: u32,
    v_start: u32,
    scale: f32,
    has_size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Elem4>;       // [batch, queries, heads, head_width], strided
@group(0) @binding(2) var<storage, read> k: array<Elem4>;       // [batch, tokens, heads, head_width], strided
@group(0) @binding(3) var<storage, read> v: array<Elem4>;       // the same
@group(0) @binding(4) var<storage, read> size: array<f32>;      // [batch, tokens]
@group(0) @binding(5) var<storage, read_write> y: array<Elem4>; // [batch, queries, heads * head_width]

const LANES: u32 = 64u;
const CHUNK: u32 = 8u;
const LOWEST: f32 = -3.4e38;

@compute @workgroup_size(LANES)
fn attention(grid: Grid, @builtin(local_invocation_index) lane: u32) {
    let across = (params.queries + LANES - 1u) / LANES;
    let index = workgroup_index(grid);
    let item = index / across / params.heads;
    let head = index / across % params.heads;
    let query = index % across * LANES + lane;
    if item >= params.batch || query >= params.queries {
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
            var score = dot(product, vec4<f32>(1.0));
            if params.has_size != 0u {
                score += log_f32(size[item * params.tokens + key]);
            }
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
