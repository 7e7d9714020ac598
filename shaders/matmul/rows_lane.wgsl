// Eight rows of x that every lane reads by itself. Twin of rows_subgroup.wgsl.
alias EightStarts = array<u32, 8>;

fn eight_starts(lane: Lane, row: u32, rows: u32) -> EightStarts {
    var starts: EightStarts;
    for (var i = 0u; i < 8u; i++) {
        starts[i] = x_start(min(row + i, rows - 1u));
    }
    return starts;
}

fn eight_vectors(starts: EightStarts, step: XStep) -> array<vec4<f32>, 8> {
    var vectors: array<vec4<f32>, 8>;
    for (var i = 0u; i < 8u; i++) {
        vectors[i] = x_value(x_load(starts[i], step), starts[i], step);
    }
    return vectors;
}
