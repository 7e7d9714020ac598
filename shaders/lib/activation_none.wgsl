// The value itself.
fn activate(v: f32) -> f32 {
    return v;
}
