// Eight rows of x that every lane reads by itself. Twin of rows_subgroup.wgsl.
alias EightStarts = array<u32, 8>;

fn row_start(row: u32, rows: u32) -> u32 {
    return x_start(min(row, rows - 1u));
}

fn eight_starts(lane: Lane, row: u32, rows: u32) -> EightStarts {
    return EightStarts(
        row_start(row, rows), row_start(row + 1u, rows), row_start(row + 2u, rows), row_start(row + 3u, rows),
        row_start(row + 4u, rows), row_start(row + 5u, rows), row_start(row + 6u, rows), row_start(row + 7u, rows),
    );
}

fn row_vector(start: u32, step: XStep) -> vec4<f32> {
    return x_value(x_load(start, step), start, step);
}

fn eight_vectors(starts: EightStarts, step: XStep) -> array<vec4<f32>, 8> {
    return array<vec4<f32>, 8>(
        row_vector(starts[0], step), row_vector(starts[1], step), row_vector(starts[2], step), row_vector(starts[3], step),
        row_vector(starts[4], step), row_vector(starts[5], step), row_vector(starts[6], step), row_vector(starts[7], step),
    );
}
