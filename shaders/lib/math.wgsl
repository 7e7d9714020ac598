// Transcendental functions from additions and multiplications, so that every driver gives the same digits:
// WGSL leaves exp and log several units in the last place, and software drivers use all of them.

// e^x for x <= 0 to about 1 ulp, 0 below -87; larger x up to 88.
fn exp_f32(x: f32) -> f32 {
    let n = round(clamp(x, -87.0, 88.0) * 1.44269504);
    let r = fma(n, 2.12194440e-4, fma(n, -0.693359375, clamp(x, -87.0, 88.0)));
    // Taylor's series; the next term is below 6e-9 for |r| <= ln(2) / 2.
    let e = 1.0 + r * (1.0 + r * (0.5 + r * (1.6666667e-1 + r * (4.1666667e-2 + r * (8.3333333e-3
        + r * (1.3888889e-3 + r * 1.9841270e-4))))));
    return select(e * bitcast<f32>((i32(n) + 127) << 23u), 0.0, x < -87.0);
}

// ln(x) for normal x > 0 to about 1 ulp; exactly 0 for x = 1. The lowest number for x = 0, so that a token of size 0
// is masked out of attention.
fn log_f32(x: f32) -> f32 {
    // x = m 2^e with m in [1/sqrt(2), sqrt(2))
    let bits = bitcast<u32>(x) - 0x3f3504f3u;
    let e = f32(bitcast<i32>(bits) >> 23u);
    let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
    // ln(m) = 2 artanh(s); the next term is below 4e-9.
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let series = s * q * (6.6666667e-1 + q * (0.4 + q * (2.8571429e-1 + q * 2.2222222e-1)));
    return select(e * 0.693359375 + (2.0 * s + (series - e * 2.12194440e-4)), -3.4e38, x <= 0.0);
}

// The error function within 1.5e-7 (Abramowitz and Stegun 7.1.26).
fn erf_f32(x: f32) -> f32 {
    let a = abs(x);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - p * exp_f32(-a * a));
}

// Two pairs of neighbours, each turned as a point of the plane by an angle: position . turns.xy and position . turns.zw.
fn turned(v: vec4<f32>, position: vec2<f32>, turns: vec4<f32>) -> vec4<f32> {
    let by = cos_sin_f32(vec2<f32>(dot(position, turns.xy), dot(position, turns.zw)));
    return v * by.xxyy + vec4<f32>(-v.y, v.x, -v.w, v.z) * by.zzww;
}

// Cosines, then sines of two angles, within 1.5e-7 up to 2^13; WGSL's own may be off by 5e-4.
fn cos_sin_f32(x: vec2<f32>) -> vec4<f32> {
    // The nearest quarter turn, and the rest. Half of pi in three parts, the first of so few digits that a multiple of it
    // is exact.
    let n = round(x * 0.63661977);
    let r = fma(n, vec2<f32>(-7.54978995e-8), fma(n, vec2<f32>(-4.83751297e-4), fma(n, vec2<f32>(-1.5703125), x)));
    // Polynomials of the Cephes library for |r| <= pi / 4.
    let z = r * r;
    let s = r + r * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166664568e-2 + z * (-1.388731625e-3 + z * 2.443315711e-5));
    let quarter = vec2<u32>(vec2<i32>(n));
    let odd = (quarter & vec2<u32>(1u)) != vec2<u32>();
    let cosine = select(c, s, odd);
    let sine = select(s, c, odd);
    let left = ((quarter + 1u) & vec2<u32>(2u)) != vec2<u32>();
    let below = (quarter & vec2<u32>(2u)) != vec2<u32>();
    return vec4<f32>(select(cosine, -cosine, left), select(sine, -sine, below));
}
