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
}

@group(0) @binding(0) var<uniform> params: Params;
// Floats [batch, image_channels, height, width], or four bytes an element of [batch, height, width, image_channels].
@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> normal: array<f32>;     // [2, image_channels], means and deviations
@group(0) @binding(3) var<storage, read> w: array<Elem4>;        // [channels, patch values rounded up to 4]
@group(0) @binding(4) var<storage, read> bias: array<f32>;       // [channels]
@group(0) @binding(5) var<storage, read> position: array<f32>;   // [patches, channels]
@group(0) @binding(6) var<storage, read> first: array<f32>;      // [prefix, channels]
@group(0) @binding(7) var<storage, read_write> y: array<f32>;    // [batch, prefix + patches, channels]

fn tokens() -> u32 {
    return params.prefix + (params.height / params.patch_height) * (params.width / params.patch_width);
}

fn patch_values() -> u32 {
    return params.image_channels * params.patch_height * params.patch_width;
}

// Rows are output tokens. A prefix token reads the image's first patch and drops the product.
fn x_start(row: u32) -> u32 {
    let place = max(row % tokens(), params.prefix) - params.prefix;
    let across = params.width / params.patch_width;
    let item = row / tokens() * params.image_channels * params.height * params.width;
    let corner = place / across * params.patch_height * params.width + place % across * params.patch_width;
    return item + corner * select(1u, params.image_channels, params.has_normal != 0u);
}

// The value of a channel at so many lines and pixels from where a patch starts.
fn pixel(start: u32, channel: u32, line: u32, column: u32) -> f32 {
    if params.has_normal == 0u {
        return bitcast<f32>(image[start + (channel * params.height + line) * params.width + column]);
    }
    let at = start + (line * params.width + column) * params.image_channels + channel;
    let byte = (image[at / 4u] >> (at % 4u * 8u)) & 0xffu;
    return (f32(byte) / 255.0 - normal[channel]) / normal[params.image_channels + channel];
}

fn x_load(start: u32, k: u32) -> vec4<f32> {
    var v = vec4<f32>();
    for (var j = 0u; j < 4u; j++) {
        let value = k * 4u + j;
        if value < patch_values() {
            let line = value / params.patch_width;
            v[j] = pixel(start, line / params.patch_height, line % params.patch_height, value % params.patch_width);
        }
    }
    return v;
}

fn w_load(column: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(w[column * ((patch_values() + 3u) / 4u) + k]);
}

// A patch token takes its bias and its place, a prefix token what it is.
fn put(row: u32, channel: u32, sum: f32) {
    if channel >= params.channels {
        return;
    }
    let token = row % tokens();
    let at = row * params.channels + channel;
    if token < params.prefix {
        y[at] = first[token * params.channels + channel];
    } else {
        y[at] = sum + bias[channel] + position[(token - params.prefix) * params.channels + channel];
    }
}

@compute @workgroup_size(TILE_LANES)
fn embed_patches(grid: Grid, lane: TileLane) {
    let rows = params.batch * tokens();
    let across = (params.channels + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let index = workgroup_index(grid);
    let row = index / across * TILE_ROWS;
    if row >= rows {
        return;
    }
    multiply_tile(lane, row, index % across * TILE_COLUMNS, (patch_values() + 3u) / 4u, rows, params.channels);
}
