// The application's drawing: a triangle over all of the frame, and on it a digit, the number of the instance, in strokes of
// light.
struct Corner {
    @builtin(position) place: vec4<f32>,
    @location(0) @interpolate(flat) digit: u32,
}

@vertex
fn corner(@builtin(vertex_index) index: u32, @builtin(instance_index) digit: u32) -> Corner {
    let corner = vec2<f32>(f32(index & 1u), f32(index >> 1u)) * 4.0 - 1.0;
    return Corner(vec4<f32>(corner, 0.0, 1.0), digit);
}

// How far a point is from a ring around a centre.
fn ring(p: vec2<f32>, centre: f32, radii: vec2<f32>) -> f32 {
    return abs(length((p - vec2<f32>(0.0, centre)) / radii) - 1.0) * min(radii.x, radii.y);
}

@fragment
fn colour(pixel: Corner) -> @location(0) vec4<f32> {
    let p = (pixel.place.xy - vec2<f32>(320.0, 240.0)) / 240.0;
    var far = ring(p, 0.0, vec2<f32>(0.4, 0.75));
    if pixel.digit == 1u {
        far = length(vec2<f32>(p.x, max(abs(p.y) - 0.75, 0.0)));
    } else if pixel.digit == 8u {
        far = min(ring(p, -0.4, vec2<f32>(0.3, 0.35)), ring(p, 0.4, vec2<f32>(0.35, 0.4)));
    }
    return vec4<f32>(vec3<f32>(1.0 - smoothstep(0.1, 0.2, far)), 1.0);
}
