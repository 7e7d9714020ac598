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
    let dsts = n - srcs;
    let edges = item * srcs;

    for (var i = lane; i < srcs; i += LANES) {
        let own = score[edges + i];
        var above = 0u;
        for (var j = 0u; j < srcs; j++) {
            let other = score[edges + j];
            above += u32(other > own || (other == own && j < i));
        }
        rank[edges + i] = above;
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
    for (var i = lane; i < srcs; i += LANES) {
        let own = rank[edges + i];
        var unmerged_before = 0u;
        var follower = END;
        for (var j = 0u; j < srcs; j++) {
            let merged = rank[edges + j] < r;
            unmerged_before += u32(!merged && j < i);
            if merged && j > i && best[edges + j] == best[edges + i] && follower == END {
                follower = j;
            }
        }
        if follower != END {
            follower = source_token(item, follower);
        }
        let token = source_token(item, i);
        if own < r {
            plan[next + token] = follower;
            plan[group + token] = first_dst + best[edges + i] - protected_dsts;
        } else {
            var place = own - r;
            if i < protected_srcs {
                place = token;
            } else if protect > 0u {
                place = protect + unmerged_before - protected_srcs;
            }
            plan[next + token] = END;
            plan[keep + place] = token;
            plan[group + token] = place;
        }
    }
    for (var i = lane; i < dsts; i += LANES) {
        var follower = END;
        for (var j = 0u; j < srcs; j++) {
            if rank[edges + j] < r && best[edges + j] == i && follower == END {
                follower = j;
            }
        }
        if follower != END {
            follower = source_token(item, follower);
        }
        let token = destination_token(item, i);
        let place = select(first_dst + i - protected_dsts, token, i < protected_dsts);
        plan[next + token] = follower;
        plan[keep + place] = token;
        plan[group + token] = place;
    }
}
