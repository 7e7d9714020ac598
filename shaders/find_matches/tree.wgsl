// Reductions over the WG lanes of a workgroup by a tree in workgroup memory. Twin of subgroup.wgsl.
const WG: u32 = 64u;

var<workgroup> lane_bests: array<Bests, WG>;

// The best of every lane's candidates for each search, in every lane.
fn workgroup_bests(lane: Lane, candidates: Bests) -> Bests {
    workgroupBarrier(); // the previous call's readers are done
    lane_bests[lane.index] = candidates;
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane.index < half {
            lane_bests[lane.index] = better(lane_bests[lane.index], lane_bests[lane.index + half]);
        }
    }
    workgroupBarrier();
    return lane_bests[0];
}
