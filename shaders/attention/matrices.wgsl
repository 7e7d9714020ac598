// Attention by the device's matrix units: four subgroups, each with the queries of one matrix, walk the keys in chunks
// with a running maximum. Scores live for one chunk in workgroup memory, where lanes turn them into weights; those
// are rounded to 16 bits before they multiply the values, and summed as rounded. Twin of lanes.wgsl.
const ATTEND_LANES: u32 = 4u * SUBGROUP;
const KEYS: u32 = 32u;
const KEYS4: u32 = KEYS / 4u;
// Matrices across a row.
const STEPS: u32 = WIDTH4 * 4u / MATRIX;
// Eight values more than a row, so that a matrix's rows lie in different banks.
const PITCH: u32 = WIDTH4 + 2u;
const WEIGHT_PITCH: u32 = KEYS4 + 2u;
const SUM_PITCH: u32 = max(KEYS, WIDTH4 * 4u) + 4u;
// Lanes that share a query, and the vectors of the result that each has.
const SHARERS: u32 = SUBGROUP / MATRIX;
const OWN4: u32 = (WIDTH4 + SHARERS - 1u) / SHARERS;

// Queries, then a chunk's keys, then its weights.
var<workgroup> x_slab: array<Slab, QUERIES * max(PITCH, WEIGHT_PITCH) * 4u / SLAB_VALUES>;
// A chunk's values.
var<workgroup> w_slab: array<Slab, KEYS * PITCH * 4u / SLAB_VALUES>;
// A chunk's scores, then its sums.
var<workgroup> sums: array<f32, QUERIES * SUM_PITCH>;
// What is added to each key's scores.
var<workgroup> addends: array<f32, KEYS>;

// Queries `first` .. `first` + QUERIES of a head of an image.
fn attend(lane: Lane, item: u32, head: u32, first: u32) {
    let vectors = params.head_width / 4u;
    let stride = params.stride / 4u;
    let start = item * params.tokens * stride + head * vectors;
    let q_start = (params.q_start + item * params.q_image) / 4u + head * vectors;
    let k_start = params.k_start / 4u + start;
    let v_start = params.v_start / 4u + start;
    // Were subgroups smaller than they say, several would compute the same.
    let strip = lane.subgroup % 4u * MATRIX;

    for (var at = lane.index; at < QUERIES * WIDTH4; at += ATTEND_LANES) {
        let i = at % WIDTH4;
        var values = vec4<f16>();
        if i < vectors {
            values = q[q_start + min(first + at / WIDTH4, params.queries - 1u) * params.q_stride / 4u + i];
        }
        put_x(at / WIDTH4 * PITCH + i, values);
    }
    workgroupBarrier();
    var query: array<Left, STEPS>;
    for (var i = 0u; i < STEPS; i++) {
        query[i] = coopLoadT<Left>(&x_slab[(strip * PITCH * 4u + i * MATRIX) / SLAB_VALUES], PITCH * 4u / SLAB_VALUES);
    }

    // A lane's query, and its part of the keys and of the result.
    let row = lane.index / SHARERS;
    let part = lane.index % SHARERS;
    var result: array<vec4<f32>, OWN4>;
    var highest = LOWEST;
    var total = 0.0;
    for (var begin = 0u; begin < params.tokens; begin += KEYS) {
        workgroupBarrier(); // the queries, or the previous chunk, have been read
        for (var at = lane.index; at < KEYS * WIDTH4; at += ATTEND_LANES) {
            let i = at % WIDTH4;
            var key = vec4<f16>();
            var value = vec4<f16>();
            if i < vectors {
                let token = min(begin + at / WIDTH4, params.tokens - 1u) * stride + i;
                key = k[k_start + token];
                value = v[v_start + token];
            }
            put_x(at / WIDTH4 * PITCH + i, key);
            put_w(at / WIDTH4 * PITCH + i, value);
        }
        for (var at = lane.index; at < KEYS; at += ATTEND_LANES) {
            addends[at] = NONE;
            if begin + at < params.tokens {
                addends[at] = key_addend(item, begin + at);
            }
        }
        workgroupBarrier();
        for (var j = 0u; j < KEYS / MATRIX; j++) {
            var scores = Sums();
            for (var i = 0u; i < STEPS; i++) {
                let at = (j * MATRIX * PITCH * 4u + i * MATRIX) / SLAB_VALUES;
                scores = coopMultiplyAdd(query[i], coopLoad<Right>(&x_slab[at], PITCH * 4u / SLAB_VALUES), scores);
            }
            coopStoreT(scores, &sums[strip * SUM_PITCH + j * MATRIX], SUM_PITCH);
        }
        workgroupBarrier();

        var chunk_highest = highest;
        for (var key = 0u; key < KEYS; key++) {
            chunk_highest = max(chunk_highest, fma(sums[row * SUM_PITCH + key], params.scale, addends[key]));
        }
        // What has been summed so far was relative to the old maximum.
        let shrink = exp_f32(highest - chunk_highest);
        highest = chunk_highest;
        total *= shrink;
        for (var i = part; i < KEYS4; i += SHARERS) {
            var weights = vec4<f16>();
            for (var j = 0u; j < 4u; j++) {
                let key = i * 4u + j;
                let score = fma(sums[row * SUM_PITCH + key], params.scale, addends[key]);
                weights[j] = f16(exp_f32(score - highest));
            }
            total += dot(vec4<f32>(weights), vec4<f32>(1.0));
            put_x(row * WEIGHT_PITCH + i, weights);
        }
        workgroupBarrier();
        for (var j = 0u; j < STEPS; j++) {
            var of_chunk = Sums();
            for (var i = 0u; i < KEYS / MATRIX; i++) {
                let weights_at = (strip * WEIGHT_PITCH * 4u + i * MATRIX) / SLAB_VALUES;
                let values_at = (i * MATRIX * PITCH * 4u + j * MATRIX) / SLAB_VALUES;
                let weights = coopLoadT<Left>(&x_slab[weights_at], WEIGHT_PITCH * 4u / SLAB_VALUES);
                of_chunk = coopMultiplyAdd(weights, coopLoadT<Right>(&w_slab[values_at], PITCH * 4u / SLAB_VALUES), of_chunk);
            }
            coopStoreT(of_chunk, &sums[strip * SUM_PITCH + j * MATRIX], SUM_PITCH);
        }
        workgroupBarrier();
        for (var i = 0u; i < OWN4; i++) {
            let at = row * SUM_PITCH + min(part + i * SHARERS, WIDTH4 - 1u) * 4u;
            result[i] = result[i] * shrink + vec4<f32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
        }
    }

    // A query's lanes have each summed the weights of their own keys.
    workgroupBarrier();
    sums[row * SUM_PITCH + part] = total;
    workgroupBarrier();
    total = 0.0;
    for (var i = 0u; i < SHARERS; i++) {
        total += sums[row * SUM_PITCH + i];
    }
    if first + row >= params.queries {
        return;
    }
    let to = ((item * params.queries + first + row) * params.heads + head) * vectors;
    for (var i = 0u; i < OWN4; i++) {
        if part + i * SHARERS < vectors {
            y[to + part + i * SHARERS] = Elem4(result[i] / total);
        }
    }
}
