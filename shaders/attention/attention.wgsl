// y = softmax(q k^T * scale + ln size + bias) v for each head. A token of size s counts as s equal tokens. Scores are never
// stored, and biases are looked up as scores are made: a head's table is small enough for the nearest cache.
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
    skip: u32,     // tokens of each image before those
    prefix: u32,   // of the tokens those that lie nowhere
    rows: u32,     // of the grid that biases are made for
    columns: u32,
    between: u32,  // positions may lie between its rows and columns
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Packed4>;     // [batch, queries, heads, head_width], strided
@group(0) @binding(2) var<storage, read> k: array<Packed4>;     // [batch, skip + tokens, heads, head_width], strided
@group(0) @binding(3) var<storage, read> v: array<Packed4>;     // the same
@group(0) @binding(4) var<storage, read> size: array<f32>;      // [batch, skip + tokens]
@group(0) @binding(5) var<storage, read> position: array<vec2<f32>>; // [batch, tokens, 2]
@group(0) @binding(6) var<storage, read> bias: array<f32>;      // [heads, (2 rows - 1) (2 columns - 1) + 3]
@group(0) @binding(7) var<storage, read_write> y: array<Elem4>; // [batch, queries, heads * head_width]

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

// Where a query or a key lies, past the last one where that does.
fn position_of(item: u32, token: u32) -> vec2<f32> {
    return position[token_of(item, min(token, params.tokens - 1u))];
}

// Where four keys lie.
fn positions_of(item: u32, key: u32) -> array<vec2<f32>, 4> {
    return array<vec2<f32>, 4>(
        position_of(item, key), position_of(item, key + 1u), position_of(item, key + 2u), position_of(item, key + 3u),
    );
}

// What is added to the score of a query and a key by where they lie.
fn pair_bias(head: u32, query: u32, at: vec2<f32>, key: u32, key_at: vec2<f32>) -> f32 {
    let last = vec2<u32>(params.rows - 1u, params.columns - 1u) * 2u;
    let line = last.y + 1u;
    let pairs = (last.x + 1u) * line;
    let table = head * (pairs + 3u);
    let apart = clamp(at - key_at + vec2<f32>(last / 2u), vec2<f32>(), vec2<f32>(last));
    let whole = vec2<u32>(apart);
    // Positions are data and may be no numbers.
    let place = min(whole.x * line + whole.y, pairs - 1u);
    let nowhere = vec2<u32>(vec2<bool>(query < params.prefix, key < params.prefix));
    let somewhere = nowhere.x + nowhere.y == 0u;
    let first = table + select(pairs + nowhere.x + 2u * nowhere.y - 1u, place, somewhere);
    if params.between == 0u {
        return bias[first];
    }
    // Where nothing lies behind the point, and where there is no point, the same again.
    let rest = select(vec2<f32>(), apart - vec2<f32>(whole), somewhere);
    let right = select(0u, 1u, rest.y > 0.0);
    let below = first + select(0u, line, rest.x > 0.0);
    let upper = bias[first] + rest.y * (bias[first + right] - bias[first]);
    let lower = bias[below] + rest.y * (bias[below + right] - bias[below]);
    return upper + rest.x * (lower - upper);
}

// The same for four keys.
fn pair_biases(head: u32, query: u32, at: vec2<f32>, key: u32, keys_at: array<vec2<f32>, 4>) -> vec4<f32> {
    return vec4<f32>(
        pair_bias(head, query, at, key, keys_at[0]),
        pair_bias(head, query, at, key + 1u, keys_at[1]),
        pair_bias(head, query, at, key + 2u, keys_at[2]),
        pair_bias(head, query, at, key + 3u, keys_at[3]),
    );
}

fn answer_queries(index: u32, lane: Lane) {
    let across = (params.queries + QUERIES - 1u) / QUERIES;
    let item = index / across / params.heads;
    if item < params.batch {
        attend(lane, item, index / across % params.heads, index % across * QUERIES);
    }
}
