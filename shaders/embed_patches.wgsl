// An image cut into patches, each projected to a token and given its position, behind the prefix tokens.
// The projection is a product of matrices whose left one is read straight from the image.
struct Params {
    batch: u32,
    image_channels: u32,
    height: u32,
    width: u32,
    patch_height: u32,
    patch_width: u32,
    prefix: u32,
    channels: u32,
    has_normal: u32, // 1 where images are bytes
    tokens: u32,     // of an image
}

@group(0) @binding(0) var<uniform> params: Params;
// Floats [batch, image_channels, height, width], or four bytes an element of [batch, height, width, image_channels].
@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> normal: array<f32>;     // [2, image_channels], means and deviations
@group(0) @binding(3) var<storage, read> w: array<Elem4>;        // [channels, patch values rounded up to 4]
@group(0) @binding(4) var<storage, read> bias: array<f32>;       // [channels]
@group(0) @binding(5) var<storage, read> position: array<f32>;   // [patches, channels]
@group(0) @binding(6) var<storage, read> first: array<f32>;      // [prefix, channels]
// How far each of a patch's values lies from its first, as divisions would take longer than products.
@group(0) @binding(7) var<storage, read> steps: array<vec4<u32>>; // [patch values rounded up to 4]
@group(0) @binding(8) var<storage, read_write> y: array<f32>;    // [batch, tokens, channels]

fn patch_values() -> u32 {
    return params.image_channels * params.patch_height * params.patch_width;
}

// Rows are output tokens. A prefix token reads the image's first patch and drops the product.
fn x_start(row: u32) -> u32 {
    let place = max(row % params.tokens, params.prefix) - params.prefix;
    let across = params.width / params.patch_width;
    let item = row / params.tokens * params.image_channels * params.height * params.width;
    let corner = place / across * params.patch_height * params.width + place % across * params.patch_width;
    return item + corner * select(1u, params.image_channels, params.has_normal != 0u);
}

// A float, or a byte that is normalised as one of its channel. Both are computed everywhere, as on software drivers a
// branch would do: floats have no means and deviations, and read the place that stands in for them.
fn pixel(at: u32, channel: u32) -> f32 {
    let bytes = params.has_normal != 0u;
    let word = image[select(at, at / 4u, bytes)];
    let byte = f32((word >> (at % 4u * 8u)) & 0xffu);
    let deviation = normal[select(0u, params.image_channels + channel, bytes)];
    return select(bitcast<f32>(word), (byte / 255.0 - normal[channel]) / deviation, bytes);
}

fn x_load(start: u32, k: u32) -> Elem4 {
    let step = steps[k];
    let channel = select(vec4<u32>(), step % params.image_channels, params.has_normal != 0u);
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
    return w[column * ((patch_values() + 3u) / 4u) + k];
}

// A patch token takes its bias and its place, a prefix token what it is.
fn put(row: u32, channel: u32, sum: f32) {
    if channel >= params.channels {
        return;
    }
    let token = row % params.tokens;
    let at = row * params.channels + channel;
    if token < params.prefix {
        y[at] = first[token * params.channels + channel];
    } else {
        y[at] = sum + bias[channel] + position[(token - params.prefix) * params.channels + channel];
    }
}

@compute @workgroup_size(TILE_LANES)
fn embed_patches(grid: Grid, lane: TileLane) {
    let rows = params.batch * params.tokens;
    let across = (params.channels + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let index = workgroup_index(grid);
    let row = index / across * TILE_ROWS;
    if row >= rows {
        return;
    }
    multiply_tile(lane, row, index % across * TILE_COLUMNS, (patch_values() + 3u) / 4u, rows, params.channels);
}
