// Reductions over the WG lanes of a workgroup by a tree in workgroup memory. Twin of lane_subgroup.wgsl.
const WG: u32 = 64u;

struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> lane_sums: array<f32, WG>;
var<workgroup> lane_bests: array<Best, WG>;

// The sum of every lane's value, in every lane.
fn workgroup_sum(lane: Lane, value: f32) -> f32 {
    workgroupBarrier(); // the previous call's readers are done
    lane_sums[lane.index] = value;
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane.index < half {
            lane_sums[lane.index] += lane_sums[lane.index + half];
        }
    }
    workgroupBarrier();
    return lane_sums[0];
}

// The best of every lane's candidate, in every lane.
fn workgroup_best(lane: Lane, candidate: Best) -> Best {
    workgroupBarrier();
    lane_bests[lane.index] = candidate;
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane.index < half {
            lane_bests[lane.index] = better(lane_bests[lane.index], lane_bests[lane.index + half]);
        }
    }
    workgroupBarrier();
    return lane_bests[0];
}
