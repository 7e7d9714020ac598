// The merge plan of a grid of tokens that stays a grid. Every line along its longer side loses as many tokens: even places
// are sources, odd ones destinations, and the best sources merge into the more similar of their neighbours. One
// workgroup a line. The plan is rank_matches's.
struct Params {
    batch: u32,
    tokens: u32,
    width: u32,
    protect: u32,
    similarity: u32, // 0 cosine (of unit metrics) and 1 dot product, 2 negative squared Euclidean distance
    rows: u32,
    columns: u32,
    lost: u32,       // by each line
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> metric: array<vec4<f32>>;  // [batch, tokens, width]
@group(0) @binding(2) var<storage, read_write> plan: array<u32>;    // [batch, 3 tokens - r], see rank_matches

const LANES: u32 = 64u;
const END: u32 = 0xffffffffu;
// Of the longest line.
const SOURCES: u32 = 512u;

// Stands in for a similarity, which lies within 4e36, where one of the two has no direction.
const UNDIRECTED: f32 = -1e38;
const EUCLIDEAN: u32 = 2u;

// Where a source goes: nowhere, to the place before it, or to the place behind it.
const STAYS: u32 = 0u;
const BEFORE: u32 = 1u;
const BEHIND: u32 = 2u;

// Of each source of the line its better score, as a number that rises with it, where that score is found, and where the
// source goes.
var<workgroup> heights: array<i32, SOURCES>;
var<workgroup> sides: array<u32, SOURCES>;
var<workgroup> goals: array<u32, SOURCES>;

// As in rank_matches.
fn height_of(score: f32) -> i32 {
    let bits = select(bitcast<i32>(score), 0, score == 0.0);
    return bits ^ ((bits >> 31u) & 0x7fffffff);
}

fn similarity(a: u32, b: u32) -> f32 {
    let vectors = params.width / 4u;
    var sums = vec4<f32>();
    var own = vec4<f32>();
    var other = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        let x = metric[a * vectors + i];
        let y = metric[b * vectors + i];
        let apart = x - y;
        sums += select(x * y, -apart * apart, params.similarity == EUCLIDEAN);
        own += x * x;
        other += y * y;
    }
    let value = dot(sums, vec4<f32>(1.0));
    let directed = any(own > vec4<f32>()) && any(other > vec4<f32>());
    return select(UNDIRECTED, value, directed);
}

// Sources that have merged before a place of the line.
fn gone_before(place: u32) -> u32 {
    var gone = 0u;
    for (var i = 0u; 2u * i < place; i++) {
        gone += u32(goals[i] != STAYS);
    }
    return gone;
}

@compute @workgroup_size(LANES)
fn match_lines(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = params.tokens;
    let protect = params.protect;
    let along_rows = params.columns >= params.rows;
    let length = max(params.rows, params.columns);
    let across = min(params.rows, params.columns);
    let lines = (n - protect) / length;
    let index = workgroup_index(workgroup, workgroups);
    let item = index / max(lines, 1u);
    if item >= params.batch {
        return;
    }
    let line = index % max(lines, 1u);
    let m = n - lines * params.lost;
    let keep = item * (n + n + m);
    let next = keep + m;
    let group = next + n;
    if line == 0u {
        for (var i = lane; i < protect; i += LANES) {
            plan[keep + i] = i;
            plan[next + i] = END;
            plan[group + i] = i;
        }
    }
    if lines == 0u {
        return;
    }

    // The line's first token and the way from one to the next, before and after.
    let left = length - params.lost;
    let within = line % across;
    let first = protect + line / across * across * length + within * select(1u, length, along_rows);
    let first_out = protect + line / across * across * left + within * select(1u, left, along_rows);
    let step = select(across, 1u, along_rows);
    let sources = (length + 1u) / 2u;
    for (var i = lane; i < sources; i += LANES) {
        let token = item * n + first + 2u * i * step;
        var height = -0x7fffffff - 1;
        var side = STAYS;
        if i > 0u {
            height = height_of(similarity(token, token - step));
            side = BEFORE;
        }
        if 2u * i + 1u < length {
            let behind = height_of(similarity(token, token + step));
            side = select(side, BEHIND, side == STAYS || behind > height);
            height = max(height, behind);
        }
        heights[i] = height;
        sides[i] = side;
    }
    workgroupBarrier();
    for (var i = lane; i < sources; i += LANES) {
        var rank = 0u;
        for (var j = 0u; j < sources; j++) {
            rank += u32(heights[j] > heights[i] || (heights[j] == heights[i] && j < i));
        }
        goals[i] = select(STAYS, sides[i], rank < params.lost);
    }
    workgroupBarrier();

    for (var place = lane; place < length; place += LANES) {
        let token = first + place * step;
        let i = place / 2u;
        if place % 2u == 0u && goals[i] != STAYS {
            let to = select(place - 1u, place + 1u, goals[i] == BEHIND);
            // The other neighbour of the place that it goes to, where that is behind this one.
            let follows = goals[i] == BEHIND && i + 1u < sources && goals[min(i + 1u, SOURCES - 1u)] == BEFORE;
            plan[next + token] = select(END, token + 2u * step, follows);
            plan[group + token] = first_out + (to - gone_before(to)) * step;
            continue;
        }
        var follower = END;
        if place % 2u == 1u {
            if i + 1u < sources && goals[min(i + 1u, SOURCES - 1u)] == BEFORE {
                follower = token + step;
            }
            if goals[i] == BEHIND {
                follower = token - step;
            }
        }
        let out = first_out + (place - gone_before(place)) * step;
        plan[next + token] = follower;
        plan[keep + out] = token;
        plan[group + token] = out;
    }
}
