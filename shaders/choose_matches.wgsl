// The edges above a threshold and the merge plan that follows from them, in which every image has as many places: those
// that keep no token are the last. Ranks and order of the output are rank_matches's. One workgroup an image.
struct Params {
    batch: u32,
    tokens: u32,
    r: u32,         // the most edges above the threshold
    least: u32,     // places that disappear
    protect: u32,
    threshold: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> score: array<f32>;       // [batch, tokens / 2 rounded up]
@group(0) @binding(2) var<storage, read> best: array<u32>;        // [batch, tokens / 2 rounded up]
@group(0) @binding(3) var<storage, read> size: array<f32>;        // [batch, tokens], 0 is padding
@group(0) @binding(4) var<storage, read_write> rank: array<u32>;  // [batch, tokens / 2 rounded up], 0 is the most similar
@group(0) @binding(5) var<storage, read_write> plan: array<u32>;  // [batch, 3 tokens - least], see rank_matches
@group(0) @binding(6) var<storage, read_write> mask: array<f32>;  // [batch, tokens - least]

const LANES: u32 = 256u;
const END: u32 = 0xffffffffu;

// In place of a score's height: no source that may merge; one whose best destination is padding.
const NOWHERE: i32 = -0x7fffffff - 1;
const ALONE: i32 = -0x7fffffff;

// Heights of a chunk of sources.
var<workgroup> heights: array<i32, LANES>;
// Sources that are there, those of them above the threshold, and destinations that are there.
var<workgroup> there: atomic<u32>;
var<workgroup> above: atomic<u32>;
var<workgroup> goals: atomic<u32>;

// Not protected and no padding.
fn is_there(item: u32, token: u32) -> bool {
    var counts = token >= params.protect && token < params.tokens;
    if HAS_SIZE != 0u && counts {
        counts = size[item * params.tokens + token] > 0.0;
    }
    return counts;
}

// The token of a source's best destination.
fn best_of(item: u32, srcs: u32, i: u32) -> u32 {
    return 2u * min(best[item * srcs + i], params.tokens) + 1u;
}

// The destination that a source goes to: the best, or, as find_matches knows nothing of who is there and none is better
// than padding, the first.
fn goal_of(item: u32, srcs: u32, i: u32) -> u32 {
    var goal = best_of(item, srcs, i) / 2u;
    if !is_there(item, 2u * goal + 1u) {
        goal = params.protect / 2u;
        while 2u * goal + 1u < params.tokens && !is_there(item, 2u * goal + 1u) {
            goal++;
        }
    }
    return goal;
}

// What rises with the score of a source, as in rank_matches.
fn height_of(item: u32, srcs: u32, i: u32) -> i32 {
    if i >= srcs || !is_there(item, 2u * i) {
        return NOWHERE;
    }
    if !is_there(item, best_of(item, srcs, i)) {
        return ALONE;
    }
    let value = score[item * srcs + i];
    let bits = select(bitcast<i32>(value), 0, value == 0.0);
    return max(bits ^ ((bits >> 31u) & 0x7fffffff), ALONE + 1);
}

// Sources that are there before one.
fn sources_before(item: u32, source: u32) -> u32 {
    var count = 0u;
    for (var i = (params.protect + 1u) / 2u; i < source; i++) {
        count += u32(is_there(item, 2u * i));
    }
    return count;
}

// Destinations that are there before one.
fn goals_before(item: u32, goal: u32) -> u32 {
    var count = 0u;
    for (var j = params.protect / 2u; j < goal; j++) {
        count += u32(is_there(item, 2u * j + 1u));
    }
    return count;
}

// The first source from a number on that merges into a destination, as a token; END where there is none.
fn follower(item: u32, srcs: u32, merging: u32, begin: u32, goal: u32) -> u32 {
    for (var j = begin; j < srcs; j++) {
        if rank[item * srcs + j] < merging && goal_of(item, srcs, j) == goal {
            return 2u * j;
        }
    }
    return END;
}

@compute @workgroup_size(LANES)
fn choose_matches(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = workgroup_index(workgroup, workgroups);
    if item >= params.batch {
        return;
    }
    let n = params.tokens;
    let protect = params.protect;
    let srcs = (n + 1u) / 2u;
    let edges = item * srcs;
    if lane == 0u {
        atomicStore(&there, 0u);
        atomicStore(&above, 0u);
        atomicStore(&goals, 0u);
    }
    workgroupBarrier();
    for (var base = 0u; base < srcs; base += LANES) {
        let i = base + lane;
        let own = height_of(item, srcs, i);
        var before = 0u;
        for (var begin = 0u; begin < srcs; begin += LANES) {
            let chunk = min(LANES, srcs - begin);
            workgroupBarrier(); // the previous chunk has been read
            heights[lane] = height_of(item, srcs, begin + lane);
            workgroupBarrier();
            for (var other = 0u; other < chunk; other++) {
                let height = heights[other];
                before += u32(height > own || (height == own && begin + other < i));
            }
        }
        if i < srcs {
            rank[edges + i] = select(before, END, own == NOWHERE);
            atomicAdd(&there, u32(own != NOWHERE));
            atomicAdd(&above, u32(own > ALONE && score[edges + i] > params.threshold));
            atomicAdd(&goals, u32(is_there(item, 2u * i + 1u)));
        }
    }
    storageBarrier();
    workgroupBarrier();

    let m = n - params.least;
    let stay = protect + atomicLoad(&there) + atomicLoad(&goals);
    // What is above the threshold, what there is no room for, and never an edge with padding or more than half.
    let needed = stay - min(stay, m);
    let ready = select(0u, atomicLoad(&there), atomicLoad(&goals) > 0u);
    let most = min(ready, (stay - protect) / 2u);
    let merging = min(max(min(atomicLoad(&above), params.r), needed), most);
    let left = min(stay - merging, m);
    let first_goal = protect + atomicLoad(&there) - merging;
    let keep = item * (n + n + m);
    let next = keep + m;
    let group = next + n;
    for (var place = lane; place < m; place += LANES) {
        mask[item * m + place] = f32(place < left);
        if place >= left {
            plan[keep + place] = END;
        }
    }
    for (var token = lane; token < n; token += LANES) {
        // Padding belongs to nobody: its place is not looked at, but there is one.
        var place = select(m - 1u, token, token < protect);
        var next_one = END;
        var kept = token < protect;
        if !kept && is_there(item, token) {
            if merging == 0u {
                // Nothing merges and nothing moves.
                kept = true;
                place = protect + sources_before(item, (token + 1u) / 2u) + goals_before(item, token / 2u);
            } else if token % 2u == 1u {
                kept = true;
                place = first_goal + goals_before(item, token / 2u);
                next_one = follower(item, srcs, merging, 0u, token / 2u);
            } else {
                let own = rank[edges + token / 2u];
                kept = own >= merging;
                if !kept {
                    let goal = goal_of(item, srcs, token / 2u);
                    place = first_goal + goals_before(item, goal);
                    next_one = follower(item, srcs, merging, token / 2u + 1u, goal);
                } else if protect == 0u {
                    place = own - merging;
                } else {
                    place = protect;
                    for (var j = 0u; j < token / 2u; j++) {
                        let other = rank[edges + j];
                        place += u32(other >= merging && other != END);
                    }
                }
            }
        }
        place = min(place, m - 1u);
        plan[next + token] = next_one;
        plan[group + token] = place;
        if kept {
            plan[keep + place] = token;
        }
    }
}
