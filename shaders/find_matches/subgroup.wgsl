// Reductions over the WG lanes of a workgroup by subgroup operations, then across subgroups in workgroup
// memory. Twin of tree.wgsl.
const WG: u32 = 64u;

// One entry a subgroup; a subgroup may be as small as one lane.
var<workgroup> lane_bests: array<array<Best, BESTS>, WG>;

// The best of every lane's candidates for each search, in every lane.
fn workgroup_bests(lane: Lane, candidates: array<Best, BESTS>) -> array<Best, BESTS> {
    var bests = candidates;
    for (var i = 0u; i < BESTS; i++) {
        let score = subgroupMax(bests[i].score);
        bests[i] = Best(score, subgroupMin(select(0xffffffffu, bests[i].index, bests[i].score == score)));
    }
    workgroupBarrier(); // the previous call's readers are done
    if lane.place == 0u {
        lane_bests[lane.subgroup] = bests;
    }
    workgroupBarrier();
    for (var i = 0u; i < BESTS; i++) {
        bests[i] = lane_bests[0][i];
        for (var j = 1u; j < lane.subgroups; j++) {
            bests[i] = better(bests[i], lane_bests[j][i]);
        }
    }
    return bests;
}
