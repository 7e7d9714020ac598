// How much each token is like the others: the mean of gain(cosine) over the unprotected tokens, the token itself among
// them. One workgroup a few tokens, its lanes over all, each of which is read once for the few: cosines are never stored.
struct Params {
    batch: u32,
    tokens: u32,
    width: u32,
    protect: u32,
    margin: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> metric: array<vec4<f32>>;  // [batch, tokens, width], of unit length
@group(0) @binding(2) var<storage, read_write> energy: array<f32>;  // [batch, tokens]

// Stand in for energies: a token without direction comes after every other, a protected token after everything.
const UNDIRECTED: f32 = -1e38;
const PROTECTED: f32 = -2e38;

const LANES: u32 = 64u;
// Tokens of a workgroup. As vectors and by name, since drivers keep arrays that are gone through in loops in memory.
const TOKENS: u32 = 4u;

// One value a lane for each of the tokens.
var<workgroup> sums: array<vec4<f32>, LANES>;

// What is alike counts as it is, what is not takes away, the less alike the more.
fn gain(cosine: f32) -> f32 {
    return select(exp_f32(cosine - params.margin) - 1.0, cosine, cosine >= params.margin);
}

fn directed(start: u32, vectors: u32) -> bool {
    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        squares += metric[start + i] * metric[start + i];
    }
    return any(squares > vec4<f32>());
}

@compute @workgroup_size(LANES)
fn token_energy(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = params.tokens;
    let across = (n + TOKENS - 1u) / TOKENS;
    let index = workgroup_index(workgroup, workgroups);
    let item = index / across;
    if item >= params.batch {
        return;
    }
    let first = index % across * TOKENS;
    let vectors = params.width / 4u;
    let few = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(n - 1u));
    let own = (item * n + few) * vectors;
    var sum = vec4<f32>();
    for (var other = params.protect + lane; other < n; other += LANES) {
        let d = (item * n + other) * vectors;
        var t0 = vec4<f32>();
        var t1 = vec4<f32>();
        var t2 = vec4<f32>();
        var t3 = vec4<f32>();
        for (var j = 0u; j < vectors; j++) {
            let b = metric[d + j];
            t0 += metric[own.x + j] * b;
            t1 += metric[own.y + j] * b;
            t2 += metric[own.z + j] * b;
            t3 += metric[own.w + j] * b;
        }
        let one = vec4<f32>(1.0);
        var cosines = vec4<f32>(dot(t0, one), dot(t1, one), dot(t2, one), dot(t3, one));
        // Of a token with itself it is 1, whatever rounding makes of it, so that equals stay equal.
        cosines = select(cosines, one, few == vec4<u32>(other));
        sum += vec4<f32>(gain(cosines.x), gain(cosines.y), gain(cosines.z), gain(cosines.w));
    }
    sums[lane] = sum;
    for (var half = LANES / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane < half {
            sums[lane] += sums[lane + half];
        }
    }
    workgroupBarrier();
    let token = first + lane;
    if lane < TOKENS && token < n {
        let mean = sums[0][lane] / f32(n - params.protect);
        let there = directed((item * n + token) * vectors, vectors);
        energy[item * n + token] = select(PROTECTED, select(UNDIRECTED, mean, there), token >= params.protect);
    }
}
