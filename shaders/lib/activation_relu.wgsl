// max(x, 0), written so that NaN stays NaN.
fn activate(v: f32) -> f32 {
    return select(v, 0.0, v < 0.0);
}
