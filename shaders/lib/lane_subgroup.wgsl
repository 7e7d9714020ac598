// Reductions over the WG lanes of a workgroup by subgroup operations, then across subgroups in workgroup
// memory. Twin of lane_tree.wgsl.
const WG: u32 = 64u;

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// One entry a subgroup; a subgroup may be as small as one lane.
var<workgroup> lane_sums: array<f32, WG>;
var<workgroup> lane_bests: array<Best, WG>;

// The sum of every lane's value, in every lane.
fn workgroup_sum(lane: Lane, value: f32) -> f32 {
    let sum = subgroupAdd(value);
    workgroupBarrier(); // the previous call's readers are done
    if lane.place == 0u {
        lane_sums[lane.subgroup] = sum;
    }
    workgroupBarrier();
    var total = lane_sums[0];
    for (var i = 1u; i < lane.subgroups; i++) {
        total += lane_sums[i];
    }
    return total;
}

// The best of every lane's candidate, in every lane.
fn workgroup_best(lane: Lane, candidate: Best) -> Best {
    let score = subgroupMax(candidate.score);
    let index = subgroupMin(select(0xffffffffu, candidate.index, candidate.score == score));
    workgroupBarrier();
    if lane.place == 0u {
        lane_bests[lane.subgroup] = Best(score, index);
    }
    workgroupBarrier();
    var best = lane_bests[0];
    for (var i = 1u; i < lane.subgroups; i++) {
        best = better(best, lane_bests[i]);
    }
    return best;
}
