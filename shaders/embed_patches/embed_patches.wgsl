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
@group(0) @binding(3) var<storage, read> base: array<f32>;       // [tokens, channels]
// How far each of a patch's values lies from its first, as divisions would take longer than products.
@group(0) @binding(4) var<storage, read> steps: array<vec4<u32>>; // [patch values rounded up to 4]
@group(0) @binding(5) var<storage, read> normal: array<f32>;     // [2, image_channels], means and deviations
@group(0) @binding(6) var<storage, read_write> y: array<f32>;    // [batch, tokens, channels]

fn patch_values() -> u32 {
    return params.image_channels * params.patch_frames * params.patch_height * params.patch_width;
}

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

// A float, or a byte that is normalised as one of its channel.
fn pixel(at: u32, channel: u32) -> f32 {
    if HAS_NORMAL == 0u {
        return bitcast<f32>(image[at]);
    }
    let byte = f32((image[at / 4u] >> (at % 4u * 8u)) & 0xffu);
    return (byte / 255.0 - normal[channel]) / normal[params.image_channels + channel];
}

fn x_load(start: u32, k: u32) -> Elem4 {
    let step = steps[k];
    var channel = vec4<u32>();
    if HAS_NORMAL != 0u {
        channel = step % params.image_channels;
    }
    let values = vec4<f32>(
        pixel(start + step.x, channel.x),
        pixel(start + step.y, channel.y),
        pixel(start + step.z, channel.z),
        pixel(start + step.w, channel.w),
    );
    // What fills up the last vector.
    let there = k * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(patch_values());
    return Elem4(select(vec4<f32>(), values, there));
}

fn w_load(column: u32, k: u32) -> Elem4 {
    return Elem4(w[column * ((patch_values() + 3u) / 4u) + k]);
}

// A patch's token is what its place starts from and the product, a prefix token the former alone.
fn put(row: u32, channel: u32, sum: f32) {
    if channel >= params.channels {
        return;
    }
    let token = row % params.tokens;
    let start = base[token * params.channels + channel];
    y[row * params.channels + channel] = select(start, sum + start, token >= params.prefix);
}

fn compute_tile(index: u32, lane: Lane) {
    let all = params.batch * params.tokens;
    let across = (params.channels + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let row = index / across * TILE_ROWS;
    if row >= all {
        return;
    }
    multiply_tile(lane, row, index % across * TILE_COLUMNS, (patch_values() + 3u) / 4u, all, params.channels);
}
