// Reductions over the WG lanes of a workgroup by subgroup operations, then across subgroups in workgroup
// memory. Twin of tree.wgsl.
const WG: u32 = 64u;

// One entry a subgroup; a subgroup may be as small as one lane.
var<workgroup> lane_bests: array<Bests, WG>;

// The best of every lane's candidates for each search, in every lane.
fn workgroup_bests(lane: Lane, candidates: Bests) -> Bests {
    let scores = subgroupMax(candidates.scores);
    let indices = subgroupMin(select(vec4<u32>(0xffffffffu), candidates.indices, candidates.scores == scores));
    workgroupBarrier(); // the previous call's readers are done
    if lane.place == 0u {
        lane_bests[lane.subgroup] = Bests(scores, indices);
    }
    workgroupBarrier();
    var bests = lane_bests[0];
    for (var i = 1u; i < lane.subgroups; i++) {
        bests = better(bests, lane_bests[i]);
    }
    return bests;
}
