// Every original token from `first_source` on gets a copy of the token that holds it, the inverse of merging as far as there is
// one, and its residual.
struct Params {
    batch: u32,
    tokens: u32,  // merged
    sources: u32, // original
    first_source: u32, // original token that is written first
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;        // [batch, tokens, channels]
@group(0) @binding(2) var<storage, read> source: array<u32>;         // [batch, sources]
@group(0) @binding(3) var<storage, read> residual: array<vec4<f32>>; // [batch, sources - first_source, channels]
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;  // [batch, sources - first_source, channels]

const LANES: u32 = 64u;

@compute @workgroup_size(LANES)
fn unmerge(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = workgroup_index(workgroup, workgroups);
    let wanted = params.sources - params.first_source;
    if row >= params.batch * wanted {
        return;
    }
    let image = row / wanted;
    // The map is data and may hold what is no token.
    let holder = min(source[image * params.sources + params.first_source + row % wanted], params.tokens - 1u);
    let vectors = params.channels / 4u;
    let begin = (image * params.tokens + holder) * vectors;
    for (var i = lane; i < vectors; i += LANES) {
        var value = x[begin + i];
        if HAS_RESIDUAL != 0u {
            value += residual[row * vectors + i];
        }
        y[row * vectors + i] = value;
    }
}
