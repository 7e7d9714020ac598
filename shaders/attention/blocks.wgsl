// Attention for every GPU: a workgroup walks blocks of QUERIES x KEYS scores with a running maximum. A lane has RISE x 4
// scores of a block and RISE rows of its columns of the result in registers; what they are made of goes through workgroup
// memory by slabs, and the next slab is on its way from the buffers while one is multiplied. Twin of lanes.wgsl and
// matrices.wgsl.
const RISE: u32 = 8u;
const DOWN: u32 = QUERIES / RISE;
const ACROSS: u32 = 16u;
const ATTEND_LANES: u32 = DOWN * ACROSS;
// Four a lane.
const KEYS: u32 = 4u * ACROSS;
// Vectors of a slab: of a row's values for scores, of keys for the result. One more, so that lanes on neighbouring rows
// hit different banks.
const SLAB: u32 = 4u;
const ROW: u32 = SLAB + 1u;
const SLABS: u32 = (WIDTH4 + SLAB - 1u) / SLAB;
// Vectors that a lane brings of a slab of queries and of one of keys, and of 4 SLAB keys' values.
const SHARE: u32 = KEYS * SLAB / ATTEND_LANES;
const VALUES: u32 = (4u * SLAB * WIDTH4 + ATTEND_LANES - 1u) / ATTEND_LANES;
// A lane's columns of the result, in vectors that are ACROSS apart.
const OWN4: u32 = (WIDTH4 + ACROSS - 1u) / ACROSS;

// Queries by slabs of their values, then weights by slabs of keys.
var<workgroup> x_slab: array<vec4<f32>, QUERIES * ROW>;
// Keys by slabs of their values, then what lanes tell each other, then values of the keys of a slab.
var<workgroup> w_slab: array<vec4<f32>, max(KEYS * ROW, 4u * SLAB * WIDTH4)>;
// What is added to each key's scores.
var<workgroup> addends: array<vec4<f32>, ACROSS>;

// A head of an image: its first vectors in the buffers.
struct Head {
    q: u32,
    k: u32,
    v: u32,
}

// A lane's part of a slab of queries and keys, as it was read: past the last ones those again.
struct Slabs {
    x: array<Packed4, SHARE>,
    w: array<Packed4, SHARE>,
}

fn fetch_keys(lane: u32, head: Head, query: u32, key: u32, slab: u32) -> Slabs {
    let i = min(slab * SLAB + lane % SLAB, params.head_width / 4u - 1u);
    var slabs: Slabs;
    for (var n = 0u; n < SHARE; n++) {
        let line = (lane + n * ATTEND_LANES) / SLAB;
        slabs.x[n] = q[head.q + min(query + line, params.queries - 1u) * (params.q_stride / 4u) + i];
        slabs.w[n] = k[head.k + min(key + key_of(line), params.tokens - 1u) * (params.stride / 4u) + i];
    }
    return slabs;
}

// The key of a block that a line of its slab holds: line `across + j * ACROSS` has the lane's key j.
fn key_of(line: u32) -> u32 {
    return line % ACROSS * 4u + line / ACROSS;
}

// Past a head's width both are 0.
fn share_keys(lane: u32, slabs: Slabs, slab: u32) {
    let is_there = slab * SLAB + lane % SLAB < params.head_width / 4u;
    workgroupBarrier(); // what was there before has been read
    for (var n = 0u; n < SHARE; n++) {
        let to = (lane + n * ATTEND_LANES) / SLAB * ROW + lane % SLAB;
        x_slab[to] = select(vec4<f32>(), unpack4(slabs.x[n]), is_there);
        w_slab[to] = select(vec4<f32>(), unpack4(slabs.w[n]), is_there);
    }
    workgroupBarrier();
}

// A lane's part of the values of the keys of a slab.
fn fetch_values(lane: u32, head: Head, key: u32) -> array<Packed4, VALUES> {
    var values: array<Packed4, VALUES>;
    for (var n = 0u; n < VALUES; n++) {
        let at = lane + n * ATTEND_LANES;
        let place = min(key + at / WIDTH4, params.tokens - 1u) * (params.stride / 4u);
        values[n] = v[head.v + place + min(at % WIDTH4, params.head_width / 4u - 1u)];
    }
    return values;
}

// Queries `first` .. `first` + QUERIES of a head of an image.
fn attend(lane: Lane, item: u32, head: u32, first: u32) {
    let vectors = params.head_width / 4u;
    let start = token_of(item, 0u) * (params.stride / 4u) + head * vectors;
    let source = Head(
        (params.q_start + item * params.q_image) / 4u + head * vectors,
        params.k_start / 4u + start,
        params.v_start / 4u + start,
    );
    let down = lane.index / ACROSS;
    let across = lane.index % ACROSS;

    var result: array<vec4<f32>, RISE * OWN4>;
    var highest: array<f32, RISE>;
    var totals: array<f32, RISE>;
    for (var i = 0u; i < RISE; i++) {
        highest[i] = LOWEST;
    }
    var slabs = fetch_keys(lane.index, source, first, 0u, 0u);
    var values = fetch_values(lane.index, source, 0u);
    for (var begin = 0u; begin < params.tokens; begin += KEYS) {
        var weights = array<vec4<f32>, RISE>();
        for (var slab = 0u; slab < SLABS; slab++) {
            share_keys(lane.index, slabs, slab);
            // Behind the last one the next block's first.
            let next = select(begin, begin + KEYS, slab + 1u == SLABS);
            slabs = fetch_keys(lane.index, source, first, next, (slab + 1u) % SLABS);
            for (var at = 0u; at < SLAB; at++) {
                let k0 = w_slab[across * ROW + at];
                let k1 = w_slab[(across + ACROSS) * ROW + at];
                let k2 = w_slab[(across + 2u * ACROSS) * ROW + at];
                let k3 = w_slab[(across + 3u * ACROSS) * ROW + at];
                for (var i = 0u; i < RISE; i++) {
                    let query = x_slab[(down + i * DOWN) * ROW + at];
                    weights[i] = add_dots(weights[i], query, k0, k1, k2, k3);
                }
            }
        }

        // The highest score of each row.
        workgroupBarrier(); // keys have been read
        if lane.index < KEYS {
            var addend = NONE;
            if begin + lane.index < params.tokens {
                addend = key_addend(item, begin + lane.index);
            }
            addends[lane.index / 4u][lane.index % 4u] = addend;
        }
        workgroupBarrier();
        let own_addends = addends[across];
        var tops = array<f32, RISE>();
        var keys_at = Places();
        if HAS_BIAS != 0u {
            keys_at = places_of(item, begin + across * 4u);
        }
        for (var i = 0u; i < RISE; i++) {
            weights[i] = fma(weights[i], vec4<f32>(params.scale), own_addends);
            if HAS_BIAS != 0u {
                let query = first + down + i * DOWN;
                weights[i] += pair_biases(head, query, position_of(item, query), begin + across * 4u, keys_at);
            }
            tops[i] = max(max(weights[i].x, weights[i].y), max(weights[i].z, weights[i].w));
        }
        w_slab[lane.index * 2u] = vec4<f32>(tops[0], tops[1], tops[2], tops[3]);
        w_slab[lane.index * 2u + 1u] = vec4<f32>(tops[4], tops[5], tops[6], tops[7]);
        workgroupBarrier();
        var low = vec4<f32>(highest[0], highest[1], highest[2], highest[3]);
        var high = vec4<f32>(highest[4], highest[5], highest[6], highest[7]);
        for (var i = 0u; i < ACROSS; i++) {
            low = max(low, w_slab[(down * ACROSS + i) * 2u]);
            high = max(high, w_slab[(down * ACROSS + i) * 2u + 1u]);
        }
        let now = array<f32, RISE>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
        for (var i = 0u; i < RISE; i++) {
            // What has been summed so far was relative to the old maximum.
            let shrink = exp_f32(highest[i] - now[i]);
            highest[i] = now[i];
            weights[i] -= now[i];
            weights[i] = vec4<f32>(exp_f32(weights[i].x), exp_f32(weights[i].y), exp_f32(weights[i].z), exp_f32(weights[i].w));
            totals[i] = fma(totals[i], shrink, dot(weights[i], vec4<f32>(1.0)));
            for (var j = 0u; j < OWN4; j++) {
                result[i * OWN4 + j] *= shrink;
            }
        }

        for (var slab = 0u; slab < KEYS / 4u / SLAB; slab++) {
            workgroupBarrier(); // what was there before has been read
            if across / SLAB == slab {
                for (var i = 0u; i < RISE; i++) {
                    x_slab[(down + i * DOWN) * ROW + across % SLAB] = weights[i];
                }
            }
            for (var n = 0u; n < VALUES; n++) {
                let at = lane.index + n * ATTEND_LANES;
                if at < 4u * SLAB * WIDTH4 {
                    w_slab[at] = unpack4(values[n]);
                }
            }
            workgroupBarrier();
            // Behind the last ones the next block's first.
            values = fetch_values(lane.index, source, begin + (slab + 1u) * 4u * SLAB);
            for (var at = 0u; at < SLAB; at++) {
                for (var j = 0u; j < OWN4; j++) {
                    let column = at * 4u * WIDTH4 + min(across + j * ACROSS, WIDTH4 - 1u);
                    let v0 = w_slab[column];
                    let v1 = w_slab[column + WIDTH4];
                    let v2 = w_slab[column + 2u * WIDTH4];
                    let v3 = w_slab[column + 3u * WIDTH4];
                    for (var i = 0u; i < RISE; i++) {
                        let p = x_slab[(down + i * DOWN) * ROW + at];
                        result[i * OWN4 + j] += p.x * v0 + p.y * v1 + p.z * v2 + p.w * v3;
                    }
                }
            }
        }
    }

    // A row's lanes have each summed the weights of their own keys.
    workgroupBarrier(); // values have been read
    w_slab[lane.index * 2u] = vec4<f32>(totals[0], totals[1], totals[2], totals[3]);
    w_slab[lane.index * 2u + 1u] = vec4<f32>(totals[4], totals[5], totals[6], totals[7]);
    workgroupBarrier();
    var low = vec4<f32>();
    var high = vec4<f32>();
    for (var i = 0u; i < ACROSS; i++) {
        low += w_slab[(down * ACROSS + i) * 2u];
        high += w_slab[(down * ACROSS + i) * 2u + 1u];
    }
    let all = array<f32, RISE>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
    for (var i = 0u; i < RISE; i++) {
        let query = first + down + i * DOWN;
        let to = ((item * params.queries + query) * params.heads + head) * vectors;
        for (var j = 0u; j < OWN4; j++) {
            if query < params.queries && across + j * ACROSS < vectors {
                y[to + across + j * ACROSS] = Elem4(result[i * OWN4 + j] / all[i]);
            }
        }
    }
}
