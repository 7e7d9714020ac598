// y = softmax(q k^T * scale + ln size) v for each head. A token of size s counts as s equal tokens. Scores are never
// stored.
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
    skip: u32, // tokens of each image before those
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Packed4>;     // [batch, queries, heads, head_width], strided
@group(0) @binding(2) var<storage, read> k: array<Packed4>;     // [batch, skip + tokens, heads, head_width], strided
@group(0) @binding(3) var<storage, read> v: array<Packed4>;     // the same
@group(0) @binding(4) var<storage, read> size: array<f32>;      // [batch, skip + tokens]
@group(0) @binding(5) var<storage, read_write> y: array<Elem4>; // [batch, queries, heads * head_width]

const LOWEST: f32 = -3.4e38;
// What stands in for a score past the last key, which never counts: not even where all sizes are 0, and so all keys lowest.
const NONE: f32 = -3.402e38;

// Where a key stands among those of all images.
fn token_of(item: u32, key: u32) -> u32 {
    return item * (params.skip + params.tokens) + params.skip + key;
}

// What is added to every score of a key.
fn key_addend(item: u32, key: u32) -> f32 {
    if HAS_SIZE == 0u {
        return 0.0;
    }
    return log_f32(size[token_of(item, key)]);
}

fn answer_queries(index: u32, lane: Lane) {
    let across = (params.queries + QUERIES - 1u) / QUERIES;
    let item = index / across / params.heads;
    if item < params.batch {
        attend(lane, item, index / across % params.heads, index % across * QUERIES);
    }
}
