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
struct Places {
    rows: vec4<f32>,
    columns: vec4<f32>,
}

fn places_of(item: u32, key: u32) -> Places {
    let a = position_of(item, key);
    let b = position_of(item, key + 1u);
    let c = position_of(item, key + 2u);
    let d = position_of(item, key + 3u);
    return Places(vec4<f32>(a.x, b.x, c.x, d.x), vec4<f32>(a.y, b.y, c.y, d.y));
}

fn four_biases(at: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
}

// What is added to the scores of a query and four keys by where they lie.
fn pair_biases(head: u32, query: u32, at: vec2<f32>, key: u32, keys: Places) -> vec4<f32> {
    let last = vec2<u32>(params.rows - 1u, params.columns - 1u) * 2u;
    let line = last.y + 1u;
    let pairs = (last.x + 1u) * line;
    let table = head * (pairs + 3u);
    let rows = clamp(at.x - keys.rows + f32(last.x / 2u), vec4<f32>(), vec4<f32>(f32(last.x)));
    let columns = clamp(at.y - keys.columns + f32(last.y / 2u), vec4<f32>(), vec4<f32>(f32(last.y)));
    let row = vec4<u32>(rows);
    let column = vec4<u32>(columns);
    let of_keys = vec4<u32>(vec4<u32>(key, key + 1u, key + 2u, key + 3u) < vec4<u32>(params.prefix)) * 2u;
    let nowhere = of_keys + select(0u, 1u, query < params.prefix);
    let somewhere = nowhere == vec4<u32>();
    // Positions are data and may be no numbers.
    let place = min(row * line + column, vec4<u32>(pairs - 1u));
    let first = table + select(pairs + nowhere - 1u, place, somewhere);
    let biases = four_biases(first);
    if params.between == 0u {
        return biases;
    }
    // Where nothing lies behind the point, and where there is no point, the same again.
    let down = select(vec4<f32>(), rows - vec4<f32>(row), somewhere);
    let across = select(vec4<f32>(), columns - vec4<f32>(column), somewhere);
    let right = vec4<u32>(across > vec4<f32>());
    let below = first + select(vec4<u32>(), vec4<u32>(line), down > vec4<f32>());
    let upper = biases + across * (four_biases(first + right) - biases);
    let next = four_biases(below);
    let lower = next + across * (four_biases(below + right) - next);
    return upper + down * (lower - upper);
}

fn answer_queries(index: u32, lane: Lane) {
    let across = (params.queries + QUERIES - 1u) / QUERIES;
    let item = index / across / params.heads;
    if item < params.batch {
        attend(lane, item, index / across % params.heads, index % across * QUERIES);
    }
}
