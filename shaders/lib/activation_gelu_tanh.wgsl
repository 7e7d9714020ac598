// Its approximation by tanh: 0.5 (1 + tanh(u)) = 1 / (1 + e^(-2u)).
fn activate(v: f32) -> f32 {
    return v / (1.0 + exp_f32(-1.5957691 * (v + 0.044715 * v * v * v)));
}
