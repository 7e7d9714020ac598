// The approximation of OpenAI's CLIP.
fn activate(v: f32) -> f32 {
    return v / (1.0 + exp_f32(-1.702 * v));
}
