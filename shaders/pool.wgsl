// One row an image: its token at `first_token`, the mean of all from there, plain or weighted by size, or the mean of
// those before it. A token of size 0 counts for nothing.
struct Params {
    batch: u32,
    tokens: u32,
    channels: u32,
    first_token: u32,
    mode: u32, // 0 token, 1 mean, 2 mean weighted by size, 3 mean of those before
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;       // [batch, tokens, channels]
@group(0) @binding(2) var<storage, read> size: array<f32>;          // [batch, tokens]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // [batch, channels]

const TOKEN: u32 = 0u;
const MEAN_BY_SIZE: u32 = 2u;
const MEAN_BEFORE: u32 = 3u;

const LANES: u32 = 64u;

@compute @workgroup_size(LANES)
fn pool(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = workgroup_index(workgroup, workgroups);
    if item >= params.batch {
        return;
    }
    let vectors = params.channels / 4u;
    let before = params.mode == MEAN_BEFORE;
    let begin = select(params.first_token, 0u, before);
    var end = select(params.tokens, params.first_token, before);
    end = select(end, params.first_token + 1u, params.mode == TOKEN);
    for (var i = lane; i < vectors; i += LANES) {
        var sum = vec4<f32>();
        var total = 0.0;
        for (var token = begin; token < end; token++) {
            let at = item * params.tokens + token;
            var weight = 1.0;
            if HAS_SIZE != 0u && params.mode != TOKEN {
                weight = select(f32(size[at] > 0.0), size[at], params.mode == MEAN_BY_SIZE);
            }
            // What has no size may hold anything.
            if weight > 0.0 {
                sum += x[at * vectors + i] * weight;
                total += weight;
            }
        }
        y[item * vectors + i] = select(vec4<f32>(), sum / total, total > 0.0);
    }
}
