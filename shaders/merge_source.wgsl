// For each original token the token that holds it after a merge.
struct Params {
    batch: u32,
    tokens: u32,  // before
    r: u32,
    sources: u32, // original
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> plan: array<u32>;             // [batch, 3 tokens - r], see rank_matches
@group(0) @binding(2) var<storage, read> source: array<u32>;           // [batch, sources]
@group(0) @binding(3) var<storage, read_write> source_out: array<u32>; // [batch, sources]

const LANES: u32 = 64u;

@compute @workgroup_size(LANES)
fn merge_source(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = workgroup_index(workgroup, workgroups) * LANES + lane;
    if at >= params.batch * params.sources {
        return;
    }
    let item = at / params.sources;
    var holder = at % params.sources;
    if HAS_SOURCE != 0u {
        // The map is data and may hold what is no token.
        holder = min(source[at], params.tokens - 1u);
    }
    // The plan's last list: keep [tokens - r], next [tokens], group [tokens].
    source_out[at] = plan[item * (3u * params.tokens - params.r) + 2u * params.tokens - params.r + holder];
}
