// Attention by the device's matrix units: four subgroups, each with the queries of one matrix, walk the keys in chunks
// with a running maximum; the next chunk is read while one is worked on. Scores live for one chunk in workgroup memory,
// where lanes turn them into weights; those are rounded to 16 bits before they multiply the values, and summed as rounded.
// That is why the device's own exp2 is good enough here. Twin of blocks.wgsl and
// lanes.wgsl.
const ATTEND_LANES: u32 = 4u * SUBGROUP;
const KEYS: u32 = 32u;
const KEYS4: u32 = KEYS / 4u;
// Queries come in, and results go out, by pieces of so many vectors.
const PIECE4: u32 = min(WIDTH4, 16u);
const PIECES: u32 = (WIDTH4 + PIECE4 - 1u) / PIECE4;
// Matrices across a piece, and across a whole row.
const PIECE_STEPS: u32 = PIECE4 * 4u / MATRIX;
const STEPS: u32 = WIDTH4 * 4u / MATRIX;
// Rows of slabs, in their elements: eight values more, so that a matrix's rows lie in different banks.
const QUERY_ROW: u32 = (PIECE4 * 4u + 8u) / SLAB_VALUES;
const KEY_ROW: u32 = (WIDTH4 * 4u + 8u) / SLAB_VALUES;
const WEIGHT_ROW: u32 = (KEYS + 8u) / SLAB_VALUES;
const OUT_ROW: u32 = (max(KEYS, PIECE4 * 4u) + 4u) / OUT_VALUES;
const WIDE: u32 = MATRIX / SLAB_VALUES;
// Lanes that share a query, and what each has of a chunk's keys and of a piece of the result, in vectors.
const SHARERS: u32 = SUBGROUP / MATRIX;
const OWN_KEYS4: u32 = KEYS4 / SHARERS;
const OWN4: u32 = (PIECE4 + SHARERS - 1u) / SHARERS;
// Blocks of four keys by four values of a chunk, and how many of them each lane brings.
const BLOCKS: u32 = KEYS4 * WIDTH4;
const SHARE: u32 = (BLOCKS + ATTEND_LANES - 1u) / ATTEND_LANES;

// A piece of the queries, then a chunk's keys, then its weights.
var<workgroup> x_slab: array<Slab, max(QUERIES * max(QUERY_ROW, WEIGHT_ROW), KEYS * KEY_ROW)>;
// A chunk's values, a row for each of a head: what is summed over lies side by side.
var<workgroup> w_slab: array<Slab, WIDTH4 * 4u * WEIGHT_ROW>;
// A chunk's scores, then a piece of its sums.
var<workgroup> outs: array<Outs, QUERIES * OUT_ROW>;
// What is added to each key's scores.
var<workgroup> addends: array<vec4<f32>, KEYS4>;

const LOG2_E: f32 = 1.44269504;

// A lane's part of a chunk, as it was read.
struct Chunk {
    keys: array<Packed4, 4u * SHARE>,
    values: array<Packed4, 4u * SHARE>,
    size: f32,
}

// Reads it without a condition: past the last key and past a head's width the last ones again.
fn fetch(lane: u32, item: u32, head: u32, begin: u32) -> Chunk {
    let vectors = params.head_width / 4u;
    let stride = params.stride / 4u;
    let start = token_of(item, 0u) * stride + head * vectors;
    let last = params.tokens - 1u;
    var chunk: Chunk;
    for (var i = 0u; i < 4u * SHARE; i++) {
        let at = lane + i * ATTEND_LANES;
        let place = min(begin + at / WIDTH4, last) * stride + min(at % WIDTH4, vectors - 1u);
        chunk.keys[i] = k[params.k_start / 4u + start + place];
    }
    for (var i = 0u; i < SHARE; i++) {
        let block = lane + i * ATTEND_LANES;
        let key = begin + block % KEYS4 * 4u;
        let place = start + params.v_start / 4u + min(block / KEYS4, vectors - 1u);
        for (var j = 0u; j < 4u; j++) {
            chunk.values[4u * i + j] = v[place + min(key + j, last) * stride];
        }
    }
    if HAS_SIZE != 0u {
        chunk.size = size[token_of(item, min(begin + lane % KEYS, last))];
    }
    return chunk;
}

// Lays it out in workgroup memory; what is past a head's width is 0.
fn share(lane: u32, chunk: Chunk, begin: u32) {
    let vectors = params.head_width / 4u;
    for (var i = 0u; i < 4u * SHARE; i++) {
        let at = lane + i * ATTEND_LANES;
        if at < KEYS * WIDTH4 {
            put_x(at / WIDTH4 * KEY_ROW, at % WIDTH4, select(vec4<f32>(), unpack4(chunk.keys[i]), at % WIDTH4 < vectors));
        }
    }
    for (var i = 0u; i < SHARE; i++) {
        let block = lane + i * ATTEND_LANES;
        if block < BLOCKS {
            let row = block / KEYS4 * 4u * WEIGHT_ROW;
            let a = unpack4(chunk.values[4u * i]);
            let b = unpack4(chunk.values[4u * i + 1u]);
            let c = unpack4(chunk.values[4u * i + 2u]);
            let d = unpack4(chunk.values[4u * i + 3u]);
            put_w(row, block % KEYS4, vec4<f32>(a.x, b.x, c.x, d.x));
            put_w(row + WEIGHT_ROW, block % KEYS4, vec4<f32>(a.y, b.y, c.y, d.y));
            put_w(row + 2u * WEIGHT_ROW, block % KEYS4, vec4<f32>(a.z, b.z, c.z, d.z));
            put_w(row + 3u * WEIGHT_ROW, block % KEYS4, vec4<f32>(a.w, b.w, c.w, d.w));
        }
    }
    if lane < KEYS {
        var addend = 0.0;
        if HAS_SIZE != 0u {
            addend = max(log_f32(chunk.size) * LOG2_E, LOWEST);
        }
        addends[lane / 4u][lane % 4u] = select(NONE, addend, begin + lane < params.tokens);
    }
}

// The sum, or the highest, of what the lanes that share a query hold, in each of them.
fn shared_sum(value: f32) -> f32 {
    var sum = value;
    if SHARERS > 1u {
        sum += subgroupShuffleXor(sum, 1u);
    }
    if SHARERS > 2u {
        sum += subgroupShuffleXor(sum, 2u);
    }
    return sum;
}

fn shared_max(value: f32) -> f32 {
    var highest = value;
    if SHARERS > 1u {
        highest = max(highest, subgroupShuffleXor(highest, 1u));
    }
    if SHARERS > 2u {
        highest = max(highest, subgroupShuffleXor(highest, 2u));
    }
    return highest;
}

// Queries `first` .. `first` + QUERIES of a head of an image.
fn attend(lane: Lane, item: u32, head: u32, first: u32) {
    let vectors = params.head_width / 4u;
    let q_start = (params.q_start + item * params.q_image) / 4u + head * vectors;
    // Were subgroups smaller than they say, several would compute the same.
    let strip = lane.subgroup % 4u * MATRIX;

    var chunk = fetch(lane.index, item, head, 0u);
    var query: array<Left, STEPS>;
    for (var piece = 0u; piece < PIECES; piece++) {
        workgroupBarrier(); // the previous piece has been read
        for (var at = lane.index; at < QUERIES * PIECE4; at += ATTEND_LANES) {
            let i = piece * PIECE4 + at % PIECE4;
            let asked = min(first + at / PIECE4, params.queries - 1u);
            let values = unpack4(q[q_start + asked * params.q_stride / 4u + min(i, vectors - 1u)]);
            put_x(at / PIECE4 * QUERY_ROW, at % PIECE4, select(vec4<f32>(), values, i < vectors));
        }
        workgroupBarrier();
        for (var i = 0u; i < min(PIECE_STEPS, STEPS - piece * PIECE_STEPS); i++) {
            query[piece * PIECE_STEPS + i] = left_of_x(strip * QUERY_ROW + i * WIDE, QUERY_ROW);
        }
    }

    // A lane's query, and its part of the keys and of the result.
    let row = lane.index / SHARERS;
    let part = lane.index % SHARERS;
    let own = row * OUT_ROW + part * (4u / OUT_VALUES);
    const APART: u32 = SHARERS * 4u / OUT_VALUES;
    let scale = params.scale * LOG2_E;
    var result: array<vec4<f32>, PIECES * OWN4>;
    var highest = LOWEST;
    var total = 0.0;
    for (var begin = 0u; begin < params.tokens; begin += KEYS) {
        workgroupBarrier(); // the queries, or the previous chunk, have been read
        share(lane.index, chunk, begin);
        workgroupBarrier();
        // On its way while this one is worked on.
        chunk = fetch(lane.index, item, head, begin + KEYS);
        for (var j = 0u; j < KEYS / MATRIX; j++) {
            var scores = Sums();
            for (var i = 0u; i < STEPS; i++) {
                scores = coopMultiplyAdd(query[i], right_of_x(j * MATRIX * KEY_ROW + i * WIDE, KEY_ROW), scores);
            }
            put_sums(scores, strip * OUT_ROW + j * MATRIX / OUT_VALUES, OUT_ROW);
        }
        workgroupBarrier();

        var weights = array<vec4<f32>, OWN_KEYS4>();
        var chunk_highest = highest;
        for (var i = 0u; i < OWN_KEYS4; i++) {
            weights[i] = fma(out4(own + i * APART), vec4<f32>(scale), addends[part + i * SHARERS]);
            if HAS_BIAS != 0u {
                let key = begin + (part + i * SHARERS) * 4u;
                let biases = pair_biases(head, first + row, position_of(item, first + row), key, places_of(item, key));
                weights[i] = fma(biases, vec4<f32>(LOG2_E), weights[i]);
            }
            let pair = max(weights[i].xy, weights[i].zw);
            chunk_highest = max(chunk_highest, max(pair.x, pair.y));
        }
        chunk_highest = shared_max(chunk_highest);
        // What has been summed so far was relative to the old maximum.
        let shrink = exp2(highest - chunk_highest);
        highest = chunk_highest;
        total *= shrink;
        for (var i = 0u; i < OWN_KEYS4; i++) {
            let rounded = vec4<f32>(vec4<f16>(exp2(weights[i] - highest)));
            total += dot(rounded, vec4<f32>(1.0));
            put_x(row * WEIGHT_ROW, part + i * SHARERS, rounded);
        }
        for (var piece = 0u; piece < PIECES; piece++) {
            workgroupBarrier(); // weights are there, and scores or the previous piece have been read
            for (var j = 0u; j < min(PIECE_STEPS, STEPS - piece * PIECE_STEPS); j++) {
                let values = (piece * PIECE_STEPS + j) * MATRIX * WEIGHT_ROW;
                var sums = Sums();
                for (var i = 0u; i < KEYS / MATRIX; i++) {
                    let weights = left_of_x(strip * WEIGHT_ROW + i * WIDE, WEIGHT_ROW);
                    sums = coopMultiplyAdd(weights, right_of_w(values + i * WIDE, WEIGHT_ROW), sums);
                }
                put_sums(sums, strip * OUT_ROW + j * MATRIX / OUT_VALUES, OUT_ROW);
            }
            workgroupBarrier();
            for (var i = 0u; i < OWN4; i++) {
                if piece * PIECE4 + i * SHARERS < WIDTH4 {
                    let to = piece * OWN4 + i;
                    result[to] = fma(result[to], vec4<f32>(shrink), out4(own + i * APART));
                }
            }
        }
    }

    total = shared_sum(total);
    if first + row >= params.queries {
        return;
    }
    let to = ((item * params.queries + first + row) * params.heads + head) * vectors;
    for (var piece = 0u; piece < PIECES; piece++) {
        for (var i = 0u; i < OWN4; i++) {
            let vector = piece * PIECE4 + part + i * SHARERS;
            if part + i * SHARERS < PIECE4 && vector < vectors {
                y[to + vector] = Elem4(result[piece * OWN4 + i] / total);
            }
        }
    }
}
