// The r best edges and what follows from them: the merge plan. Even tokens are ranked by counting the better
// ones, so that equal scores fall to the lower index and no sort is needed. One workgroup an image.
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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> score: array<f32>;       // [batch, even tokens]
@group(0) @binding(2) var<storage, read> best: array<u32>;        // [batch, even tokens]
@group(0) @binding(3) var<storage, read_write> rank: array<u32>;  // [batch, even tokens], 0 is the most similar
@group(0) @binding(4) var<storage, read_write> plan: array<u32>;  // [batch, 3 tokens - r]

const LANES: u32 = 256u;
const END: u32 = 0xffffffffu;

@compute @workgroup_size(LANES)
fn rank_matches(grid: Grid, @builtin(local_invocation_index) lane: u32) {
    let item = workgroup_index(grid);
    if item >= params.batch {
        return;
    }
    let n = params.tokens;
    let r = params.r;
    let protect = params.protect;
    let evens = (n + 1u) / 2u;
    let odds = n / 2u;
    let edges = item * evens;

    for (var i = lane; i < evens; i += LANES) {
        let own = score[edges + i];
        var above = 0u;
        for (var j = 0u; j < evens; j++) {
            let other = score[edges + j];
            above += u32(other > own || (other == own && j < i));
        }
        rank[edges + i] = above;
    }
    storageBarrier();

    // Output order: protected tokens, unmerged even tokens, odd tokens. Without protected tokens the unmerged
    // stay in order of similarity, with them in order of position, as in the reference.
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
    let protected_evens = (protect + 1u) / 2u;
    let protected_odds = protect / 2u;
    let first_odd = protect + evens - r - protected_evens;
    for (var i = lane; i < evens; i += LANES) {
        let own = rank[edges + i];
        var unmerged_before = 0u;
        var follower = END;
        for (var j = 0u; j < evens; j++) {
            let merged = rank[edges + j] < r;
            unmerged_before += u32(!merged && j < i);
            if merged && j > i && best[edges + j] == best[edges + i] && follower == END {
                follower = 2u * j;
            }
        }
        if own < r {
            plan[next + 2u * i] = follower;
            plan[group + 2u * i] = first_odd + best[edges + i] - protected_odds;
        } else {
            var place = own - r;
            if i < protected_evens {
                place = 2u * i;
            } else if protect > 0u {
                place = protect + unmerged_before - protected_evens;
            }
            plan[next + 2u * i] = END;
            plan[keep + place] = 2u * i;
            plan[group + 2u * i] = place;
        }
    }
    for (var i = lane; i < odds; i += LANES) {
        var follower = END;
        for (var j = 0u; j < evens; j++) {
            if rank[edges + j] < r && best[edges + j] == i && follower == END {
                follower = 2u * j;
            }
        }
        let token = 2u * i + 1u;
        let place = select(first_odd + i - protected_odds, token, i < protected_odds);
        plan[next + token] = follower;
        plan[keep + place] = token;
        plan[group + token] = place;
    }
}
