// 1 / (1 + e^(-x)).
fn activate(v: f32) -> f32 {
    return 1.0 / (1.0 + exp_f32(-v));
}
