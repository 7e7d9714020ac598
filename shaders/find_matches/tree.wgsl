// Reductions over the WG lanes of a workgroup by a tree in workgroup memory. Twin of subgroup.wgsl.
const WG: u32 = 64u;

var<workgroup> lane_bests: array<array<Best, BESTS>, WG>;

// The best of every lane's candidates for each search, in every lane.
fn workgroup_bests(lane: Lane, candidates: array<Best, BESTS>) -> array<Best, BESTS> {
    workgroupBarrier(); // the previous call's readers are done
    lane_bests[lane.index] = candidates;
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane.index < half {
            for (var i = 0u; i < BESTS; i++) {
                lane_bests[lane.index][i] = better(lane_bests[lane.index][i], lane_bests[lane.index + half][i]);
            }
        }
    }
    workgroupBarrier();
    return lane_bests[0];
}
