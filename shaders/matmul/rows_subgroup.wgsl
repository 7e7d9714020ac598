// Eight rows of x, each read by one of eight neighbouring lanes of a subgroup and handed round: one read takes the
// place of eight. Twin of rows_lane.wgsl.
alias EightStarts = u32;

fn eight_starts(lane: Lane, row: u32, rows: u32) -> EightStarts {
    return x_start(min(row + lane.place % 8u, rows - 1u));
}

fn eight_vectors(start: EightStarts, step: XStep) -> array<vec4<f32>, 8> {
    return hand_round(x_value(x_load(start, step), start, step));
}
