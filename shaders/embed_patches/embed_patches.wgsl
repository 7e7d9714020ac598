// Images cut into patches, each projected to a token and added to what its place starts from, behind the prefix tokens. The
// projection is a product of matrices whose left one is read straight from the image. Patches have up to three dimensions:
// pictures have one frame.
struct Params {
    batch: u32,
    image_channels: u32,
    frames: u32,
    height: u32,
    width: u32,
    patch_frames: u32,
    patch_height: u32,
    patch_width: u32,
    stride_frames: u32, // from one patch to the next
    stride_height: u32,
    stride_width: u32,
    prefix: u32,
    channels: u32,
    rows: u32,    // of patches
    columns: u32, // of patches
    tokens: u32,  // of an image
}

@group(0) @binding(0) var<uniform> params: Params;
// Floats [batch, frames, image_channels, height, width], or four bytes an element of [batch, frames, height, width,
// image_channels].
@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> w: array<Weight4>;      // [channels, patch values rounded up to 4]
@group(0) @binding(3) var<storage, read> base: array<vec4<f32>>; // [tokens, channels]
// How far each of a patch's values lies from its first, as divisions would take longer than products; then its channel.
@group(0) @binding(4) var<storage, read> steps: array<vec4<u32>>; // [2, patch values rounded up to 4]
@group(0) @binding(5) var<storage, read> normal: array<f32>;     // [2, image_channels], means and deviations
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>; // [batch, tokens, channels]

fn patch_values() -> u32 {
    return params.image_channels * params.patch_frames * params.patch_height * params.patch_width;
}

fn patch_vectors() -> u32 {
    return (patch_values() + 3u) / 4u;
}

// Four values of every patch: where they lie, and what makes numbers of bytes.
struct XStep {
    k: u32,
    at: vec4<u32>,
    factor: vec4<f32>,
    offset: vec4<f32>,
}

// The words that hold four values.
alias XRaw = vec4<u32>;

// Rows are output tokens. A prefix token reads the image's first patch and drops the product.
fn x_start(row: u32) -> u32 {
    let place = max(row % params.tokens, params.prefix) - params.prefix;
    let frame_size = params.image_channels * params.height * params.width;
    let item = row / params.tokens * params.frames * frame_size;
    let line = place / params.columns;
    let frame = line / params.rows * params.stride_frames * frame_size;
    let corner = line % params.rows * params.stride_height * params.width + place % params.columns * params.stride_width;
    return item + frame + corner * select(1u, params.image_channels, HAS_NORMAL != 0u);
}

fn x_step(k: u32) -> XStep {
    var step = XStep(k, steps[k], vec4<f32>(), vec4<f32>());
    if HAS_NORMAL != 0u {
        let c = steps[patch_vectors() + k];
        let d = c + params.image_channels;
        let deviations = vec4<f32>(normal[d.x], normal[d.y], normal[d.z], normal[d.w]);
        step.factor = 1.0 / (255.0 * deviations);
        step.offset = vec4<f32>(normal[c.x], normal[c.y], normal[c.z], normal[c.w]) / deviations;
    }
    return step;
}

fn x_load(start: u32, step: XStep) -> XRaw {
    var at = start + step.at;
    if HAS_NORMAL != 0u {
        at /= 4u;
    }
    return vec4<u32>(image[at.x], image[at.y], image[at.z], image[at.w]);
}

fn x_value(raw: XRaw, start: u32, step: XStep) -> vec4<f32> {
    var values = bitcast<vec4<f32>>(raw);
    if HAS_NORMAL != 0u {
        let bytes = (raw >> ((start + step.at) % 4u * 8u)) & vec4<u32>(0xffu);
        values = vec4<f32>(bytes) * step.factor - step.offset;
    }
    if WHOLE_SLABS != 0u {
        return values;
    }
    // What fills up the last vector.
    let there = step.k * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(patch_values());
    return select(vec4<f32>(), values, there);
}

fn w_start(channel: u32) -> u32 {
    return channel * patch_vectors();
}

fn w_load(start: u32, k: u32) -> Weight4 {
    return w[start + k];
}

// A patch's token is what its place starts from and the product, a prefix token the former alone.
fn put(row: u32, channel: u32, sums: vec4<f32>) {
    if channel >= params.channels {
        return;
    }
    let token = row % params.tokens;
    let start = base[(token * params.channels + channel) / 4u];
    y[(row * params.channels + channel) / 4u] = select(start, sums + start, token >= params.prefix);
}

fn compute_tile(index: u32, lane: Lane) {
    let all = params.batch * params.tokens;
    let across = (params.channels + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let row = index / across * TILE_ROWS;
    if row >= all {
        return;
    }
    multiply_tile(lane, row, index % across * TILE_COLUMNS, patch_vectors(), all, params.channels);
}
