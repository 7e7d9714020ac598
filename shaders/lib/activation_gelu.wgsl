// x times the normal distribution's share below x, by the error function.
fn activate(v: f32) -> f32 {
    return 0.5 * v * (1.0 + erf_f32(v * 0.70710678));
}
