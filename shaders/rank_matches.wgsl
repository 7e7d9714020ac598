// The r best edges and what follows from them: the merge plan. Sources are ranked by counting the better ones, so
// that equal scores fall to the lower index and no sort is needed. One workgroup an image.
//
// The plan of an image is three lists of tokens one after the other:
//   keep  [tokens - r]  for each output token the input token that stays in place
//   next  [tokens]      for each input token the next one of its group, END after the last
//   group [tokens]      for each input token the output token that holds it
struct Params {
    batch: u32,
    tokens: u32,
    r: u32,
    protect: u32,
    srcs: u32,
    split_stride: u32, // elements between the lists of two images, 0 where all share one
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> score: array<f32>;       // [batch, srcs]
@group(0) @binding(2) var<storage, read> best: array<u32>;        // [batch, srcs]
@group(0) @binding(3) var<storage, read> split: array<u32>;       // [batch or 1, tokens], see split_tokens
@group(0) @binding(4) var<storage, read_write> rank: array<u32>;  // [batch, srcs], 0 is the most similar
@group(0) @binding(5) var<storage, read_write> plan: array<u32>;  // [batch, 3 tokens - r]

const LANES: u32 = 256u;
const END: u32 = 0xffffffffu;
// In `targets`: not merged. No destination has this number.
const STAYS: u32 = 0xfffffffeu;
// Past the last source.
const NOBODY: u32 = 0xffffffffu;
// Vectors of a chunk of sources, one source a lane.
const CHUNK4: u32 = LANES / 4u;

// Scores of a chunk of sources, as numbers that rise with them.
var<workgroup> heights: array<vec4<i32>, CHUNK4>;
// Destinations of a chunk of sources.
var<workgroup> targets: array<vec4<u32>, CHUNK4>;

// A score's bits as a number that rises with it: any order of floats becomes one of integers, in which no two differ
// that are equal, and a rank is a rank whatever a damaged score may be.
fn height_of(score: f32) -> i32 {
    let bits = select(bitcast<i32>(score), 0, score == 0.0);
    return bits ^ ((bits >> 31u) & 0x7fffffff);
}

// Vectors that are looked at in one turn of a loop, so that there is less to wait for; CHUNK4 is a multiple.
const AT_ONCE: u32 = 4u;

// Vectors of a chunk in which there are sources.
fn vectors_of(begin: u32) -> u32 {
    return min(CHUNK4, (params.srcs - begin + 3u) / 4u);
}

// The numbers of the four sources of a vector of a chunk.
fn numbers(begin: u32, vector: u32) -> vec4<u32> {
    return begin + vector * 4u + vec4<u32>(0u, 1u, 2u, 3u);
}

@compute @workgroup_size(LANES)
fn rank_matches(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = workgroup_index(workgroup, workgroups);
    if item >= params.batch {
        return;
    }
    let n = params.tokens;
    let r = params.r;
    let protect = params.protect;
    let srcs = params.srcs;
    let edges = item * srcs;

    for (var base = 0u; base < srcs; base += LANES) {
        let i = base + lane;
        let own = height_of(score[edges + min(i, srcs - 1u)]);
        var above = vec4<u32>();
        for (var begin = 0u; begin < srcs; begin += LANES) {
            workgroupBarrier(); // the previous chunk has been read
            let other = begin + lane;
            let height = height_of(score[edges + min(other, srcs - 1u)]);
            heights[lane / 4u][lane % 4u] = select(-0x7fffffff - 1, height, other < srcs);
            workgroupBarrier();
            for (var vector = 0u; vector < vectors_of(begin); vector += AT_ONCE) {
                for (var m = 0u; m < AT_ONCE; m++) {
                    // Equal ones are better in the vectors before, and, until it is set right, in the source's own.
                    let least = own + i32(begin / 4u + vector + m > i / 4u);
                    above += select(vec4<u32>(), vec4<u32>(1u), heights[vector + m] >= vec4<i32>(least));
                }
            }
            if i / LANES == begin / LANES {
                let equals = heights[lane / 4u] == vec4<i32>(own);
                above -= select(vec4<u32>(), vec4<u32>(1u), equals & (numbers(begin, lane / 4u) >= vec4<u32>(i)));
            }
        }
        if i < srcs {
            rank[edges + i] = above.x + above.y + above.z + above.w;
        }
    }
    storageBarrier();

    // Output order: protected tokens, unmerged sources, destinations. Without protected tokens the unmerged stay in
    // order of similarity, with them in order of position, as in ToMe's code.
    let keep = item * (3u * n - r);
    let next = keep + n - r;
    let group = next + n;
    if r == 0u {
        // Nothing merges and nothing moves.
        for (var i = lane; i < n; i += LANES) {
            plan[keep + i] = i;
            plan[next + i] = END;
            plan[group + i] = i;
        }
        return;
    }
    // In a list, protected tokens are the first sources.
    let protected_srcs = select((protect + 1u) / 2u, protect, HAS_SPLIT != 0u);
    let protected_dsts = protect - protected_srcs;
    let first_dst = protect + srcs - r - protected_srcs;
    // Every token looks for the next one of its group: the first merged source behind it that has the same destination,
    // be it a source or that destination itself.
    for (var base = 0u; base < n; base += LANES) {
        let i = base + lane;
        let is_source = i < srcs;
        let source = min(i, srcs - 1u);
        let own = rank[edges + source];
        let goal = select(i - srcs, best[edges + source], is_source);
        let behind = select(0u, i + 1u, is_source);
        var follower = vec4<u32>(END);
        var stay = vec4<u32>();
        for (var begin = 0u; begin < srcs; begin += LANES) {
            workgroupBarrier(); // the previous chunk has been read
            let other = begin + lane;
            let edge = edges + min(other, srcs - 1u);
            let aim = select(STAYS, best[edge], rank[edge] < r);
            targets[lane / 4u][lane % 4u] = select(NOBODY, aim, other < srcs);
            workgroupBarrier();
            for (var vector = 0u; vector < vectors_of(begin); vector += AT_ONCE) {
                for (var m = 0u; m < AT_ONCE; m++) {
                    let j = numbers(begin, vector + m);
                    let aims = targets[vector + m];
                    let follows = (aims == vec4<u32>(goal)) & (j >= vec4<u32>(behind));
                    follower = min(follower, select(vec4<u32>(END), j, follows));
                    stay += select(vec4<u32>(), vec4<u32>(1u), (aims == vec4<u32>(STAYS)) & (j < vec4<u32>(i)));
                }
            }
        }
        var next_one = min(min(follower.x, follower.y), min(follower.z, follower.w));
        if next_one != END {
            next_one = source_token(item, next_one);
        }
        if !is_source {
            if i < n {
                let token = destination_token(item, goal);
                let place = select(first_dst + goal - protected_dsts, token, goal < protected_dsts);
                plan[next + token] = next_one;
                plan[keep + place] = token;
                plan[group + token] = place;
            }
        } else if own < r {
            let token = source_token(item, i);
            plan[next + token] = next_one;
            plan[group + token] = first_dst + goal - protected_dsts;
        } else {
            let token = source_token(item, i);
            var place = own - r;
            if i < protected_srcs {
                place = token;
            } else if protect > 0u {
                place = protect + stay.x + stay.y + stay.z + stay.w - protected_srcs;
            }
            plan[next + token] = END;
            plan[keep + place] = token;
            plan[group + token] = place;
        }
    }
}
