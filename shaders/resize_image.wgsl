// A texture cropped, resized and normalised. Resizing is Pillow's to the last bit: across, then down, each value a sum of
// others by weights of a fixed point, rounded to 8 bits. A workgroup makes a tile of SIDE x SIDE pixels: it resizes SIDE
// rows of the texture across, one value a lane; then every lane adds what of them its own pixel is made of; and so on until
// the tile's last row.
struct Params {
    image_height: u32, // of the texture
    image_width: u32,
    height: u32,
    width: u32,
    channels: u32,     // 1 or 3
    order: u32,        // of three channels
    encoding: u32,     // of what the view gives
    first: u32,        // value of y
    taps_down: u32,    // at most
    taps_across: u32,
    rows: u32,         // of the texture that a tile is made of, at most
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var image: texture_2d<f32>;                 // [image_height, image_width]
// For each row or column: the first that it is made of, how many they are, and their weights.
@group(0) @binding(2) var<storage, read> down: array<i32>;        // [2 + taps_down, height]
@group(0) @binding(3) var<storage, read> across: array<i32>;      // [2 + taps_across, width]
@group(0) @binding(4) var<storage, read> normal: array<f32>;      // [2, channels], means and deviations
@group(0) @binding(5) var<storage, read_write> y: array<f32>;     // [.., channels, height, width]

const SIDE: u32 = 16u;
const FRACTION: u32 = 22u;
const ORDER_BGR: u32 = 1u;
const ENCODING_SRGB: u32 = 1u;

// Rows of the texture, resized across to the tile's columns; three bytes each.
var<workgroup> between: array<u32, SIDE * SIDE>;

// What a texel is stored as. A view with sRGB in its format gives light instead, from which the byte follows, as decoding
// is exact to half a byte.
fn stored(texel: vec4<f32>) -> vec3<i32> {
    var colour = texel.rgb;
    if params.encoding == ENCODING_SRGB {
        let curve = 1.055 * pow(max(colour, vec3<f32>(0.0031308)), vec3<f32>(1.0 / 2.4)) - 0.055;
        colour = select(curve, colour * 12.92, colour <= vec3<f32>(0.0031308));
    }
    var bytes = vec3<i32>(colour * 255.0 + 0.5);
    if params.channels == 1u {
        // Luma after ITU-R 601.
        bytes = vec3<i32>((bytes.r * 19595 + bytes.g * 38470 + bytes.b * 7471 + 0x8000) >> 16u);
    }
    return bytes;
}

// A sum of bytes by their weights, as bytes.
fn rounded(sum: vec3<i32>) -> vec3<i32> {
    let half = 1i << (FRACTION - 1u);
    return clamp((sum + half) >> vec3<u32>(FRACTION), vec3<i32>(0), vec3<i32>(255));
}

// A row of the texture resized to one column. Tables are data, and so is the texture's size: neither leads beyond it.
fn resized_across(row: u32, column: u32) -> u32 {
    let last = min(vec2<u32>(params.image_width, params.image_height), textureDimensions(image)) - 1u;
    let start = u32(across[column]);
    let taps = min(u32(across[params.width + column]), params.taps_across);
    var sum = vec3<i32>(0);
    for (var tap = 0u; tap < taps; tap++) {
        let texel = textureLoad(image, min(vec2<u32>(start + tap, row), last), 0);
        sum += stored(texel) * across[(2u + tap) * params.width + column];
    }
    let bytes = vec3<u32>(rounded(sum));
    return bytes.r | (bytes.g << 8u) | (bytes.b << 16u);
}

@compute @workgroup_size(SIDE * SIDE)
fn resize_image(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles = (params.width + SIDE - 1u) / SIDE;
    let tile = workgroup_index(workgroup, workgroups);
    let corner = vec2<u32>(tile % tiles, tile / tiles) * SIDE;
    if corner.y >= params.height {
        return;
    }
    let place = corner + vec2<u32>(lane % SIDE, lane / SIDE);
    // Past the last one there is nothing to write but others to help.
    let column = min(place.x, params.width - 1u);
    let row = min(place.y, params.height - 1u);
    let rows = params.rows;
    let first = u32(down[corner.y]);
    let start = u32(down[row]) - first;
    let taps = min(u32(down[params.height + row]), params.taps_down);

    var sum = vec3<i32>(0);
    for (var top = 0u; top < rows; top += SIDE) {
        between[lane] = resized_across(first + top + lane / SIDE, column);
        workgroupBarrier();
        for (var i = 0u; i < SIDE; i++) {
            // Above the first it wraps, and is none either.
            let tap = top + i - start;
            if tap < taps {
                let bytes = between[i * SIDE + lane % SIDE];
                let colour = vec3<i32>(vec3<u32>(bytes, bytes >> 8u, bytes >> 16u) & vec3<u32>(255u));
                sum += colour * down[(2u + tap) * params.height + row];
            }
        }
        workgroupBarrier();
    }

    if place.x >= params.width || place.y >= params.height {
        return;
    }
    var colour = vec3<f32>(rounded(sum)) / 255.0;
    if params.order == ORDER_BGR {
        colour = colour.bgr;
    }
    let at = params.first + row * params.width + column;
    y[at] = (colour.r - normal[0]) / normal[params.channels];
    if params.channels == 3u {
        let plane = params.height * params.width;
        y[at + plane] = (colour.g - normal[1]) / normal[4];
        y[at + 2u * plane] = (colour.b - normal[2]) / normal[5];
    }
}
