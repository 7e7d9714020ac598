// Each output token gathers its group: x becomes one value by the mode, size the sum. Gathering in the order of the
// plan makes the sums reproducible to the last bit. A token of size 0 counts for nothing. Positions, where tokens have
// some, become one as well. What has become of a token can be brought to mean 0 and variance 1 on the way, as what follows
// wants it.
struct Params {
    batch: u32,
    tokens: u32, // before
    r: u32,
    channels: u32,
    mode: u32,
    positions: u32,
    eps: f32,
    kind: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> plan: array<u32>;              // [batch, 3 tokens - r], see rank_matches
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;           // [batch, tokens, channels]
@group(0) @binding(3) var<storage, read> size: array<f32>;              // [batch, tokens]
@group(0) @binding(4) var<storage, read> position: array<vec2<f32>>;    // [batch, tokens, 2]
@group(0) @binding(5) var<storage, read_write> x_out: array<vec4<f32>>; // [batch, tokens - r, channels]
@group(0) @binding(6) var<storage, read_write> size_out: array<f32>;    // [batch, tokens - r]
@group(0) @binding(7) var<storage, read_write> normed: array<Elem4>;    // [batch, tokens - r, channels]
@group(0) @binding(8) var<storage, read_write> position_out: array<vec2<f32>>; // [batch, tokens - r, 2]

const WEIGHTED_MEAN: u32 = 0u;
const MEAN: u32 = 1u;
const MAX: u32 = 3u;
const MIN: u32 = 4u;
const KEEP_ONE: u32 = 5u;
const MLERP: u32 = 6u;
const MAX_MAGNITUDE: u32 = 7u;
const KEPT: u32 = 1u;
const RMS: u32 = 1u;
const END: u32 = 0xffffffffu;

fn size_of(token: u32) -> f32 {
    if HAS_SIZE == 0u {
        return 1.0;
    }
    return size[token];
}

// A member's part in the sum of positions: each counts by its size, or the first that counts alone.
fn position_part(token: u32, size: f32, stays: bool, members: f32) -> vec2<f32> {
    if HAS_POSITION == 0u {
        return vec2<f32>();
    }
    // Not 0 times a NaN.
    return select(vec2<f32>(), position[token] * select(size, f32(members == 0.0), stays), size > 0.0);
}

// The largest squared norm of the members of a group that count, or of those that fall to a lane: each of a row's lanes
// takes every ROW_LANES-th, and no barrier stands in a loop that is as long as the group.
fn largest_square(item: u32, kept: u32, row_lane: u32, limit: u32) -> f32 {
    let n = params.tokens;
    let vectors = params.channels / 4u;
    let next = item * (3u * n - params.r) + n - params.r;
    var largest = 0.0;
    var member = kept;
    for (var steps = 0u; steps < limit && member < n; steps++) {
        let token = item * n + member;
        if steps % ROW_LANES == row_lane && size_of(token) > 0.0 {
            var squares = vec4<f32>();
            for (var i = 0u; i < vectors; i++) {
                squares += x[token * vectors + i] * x[token * vectors + i];
            }
            largest = max(largest, dot(squares, vec4<f32>(1.0)));
        }
        member = plan[next + member];
    }
    return largest;
}

@compute @workgroup_size(ROWS * ROW_LANES)
fn merge_tokens(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = params.tokens;
    let m = n - params.r;
    let begin = workgroup_index(workgroup, workgroups) * ROWS;
    if begin >= params.batch * m {
        return;
    }
    // Past the last token there is nothing to do but to wait for the others.
    let some = begin + lane / ROW_LANES < params.batch * m;
    let index = min(begin + lane / ROW_LANES, params.batch * m - 1u);
    let row_lane = lane % ROW_LANES;
    let item = index / m;
    let place = index % m;
    let keep = item * (3u * n - params.r);
    let next = keep + m;
    let vectors = params.channels / 4u;
    let end = select(0u, vectors, some);
    // A plan is data and may be damaged: a place that keeps no token, as END is none, is empty, and a group ends at the
    // first member that is no token.
    let vacant = plan[keep + place] >= n;
    let kept = min(plan[keep + place], n - 1u);
    let second = select(plan[next + kept], END, vacant);
    // Read before the loops: FXC takes a mode that it first reads in one for different from lane to lane, and then there may
    // be no barrier in what depends on it.
    let mlerp = params.mode == MLERP;
    let weighted = params.mode == WEIGHTED_MEAN || mlerp;
    // What is dropped takes no part.
    let stays = params.positions == KEPT || params.mode == KEEP_ONE;

    let own = select(size_of(item * n + kept), 0.0, vacant);
    var total = own;
    var positions = position_part(item * n + kept, own, stays, 0.0);
    // Those that have a size.
    var members = f32(own > 0.0);
    // A group has at most every token: the count ends the walk where members go round in circles.
    var member = second;
    for (var steps = 0u; steps < n && member < n; steps++) {
        let added = size_of(item * n + member);
        total += added;
        positions += position_part(item * n + member, added, stays, members);
        members += f32(added > 0.0);
        member = plan[next + member];
    }
    let keeps = params.mode == KEEP_ONE && own > 0.0;
    let alone = second >= n || keeps || total == 0.0;
    var sum = 0.0;
    for (var i = row_lane; i < end; i += ROW_LANES) {
        var value = select(x[(item * n + kept) * vectors + i], vec4<f32>(), vacant);
        if !alone {
            var empty = own == 0.0;
            if weighted {
                // Not 0 times a NaN.
                value = select(vec4<f32>(), value * own, own > 0.0);
            }
            member = second;
            for (var steps = 0u; steps < n && member < n; steps++) {
                let other = x[(item * n + member) * vectors + i];
                let counts = size_of(item * n + member);
                if counts > 0.0 {
                    if weighted {
                        value += other * counts;
                    } else if empty {
                        value = other;
                    } else if params.mode == MAX {
                        value = max(value, other);
                    } else if params.mode == MIN {
                        value = min(value, other);
                    } else if params.mode == MAX_MAGNITUDE {
                        value = select(value, other, abs(other) > abs(value));
                    } else if params.mode != KEEP_ONE {
                        value += other;
                    }
                    empty = false;
                }
                member = plan[next + member];
            }
            if weighted {
                value /= total;
            } else if params.mode == MEAN {
                value /= members;
            }
        }
        x_out[index * vectors + i] = value;
        sum += dot(value, vec4<f32>(1.0));
    }
    if mlerp {
        // Each lane reads what it has written itself.
        var squares = 0.0;
        for (var i = row_lane; i < end; i += ROW_LANES) {
            squares += dot(x_out[index * vectors + i], x_out[index * vectors + i]);
        }
        let length = row_sum(lane, squares);
        let largest = row_max(lane, largest_square(item, kept, row_lane, select(n, 0u, alone)));
        let scale = select(1.0, sqrt(largest) / sqrt(length), length > 0.0 && !alone);
        for (var i = row_lane; i < end; i += ROW_LANES) {
            x_out[index * vectors + i] *= scale;
        }
        sum *= scale;
    }
    if some && row_lane == 0u {
        size_out[index] = total;
        if HAS_POSITION != 0u {
            let own_position = select(position[item * n + kept], vec2<f32>(), vacant);
            position_out[index] = select(positions / select(total, 1.0, stays), own_position, alone);
        }
    }
    if HAS_NORMED == 0u {
        return;
    }
    // As layer_norm; each lane reads what it has written itself.
    let mean = select(row_sum(lane, sum) / f32(params.channels), 0.0, params.kind == RMS);
    var squares = 0.0;
    for (var i = row_lane; i < end; i += ROW_LANES) {
        let centred = x_out[index * vectors + i] - mean;
        squares += dot(centred, centred);
    }
    let variance = row_sum(lane, squares) / f32(params.channels);
    let scale = 1.0 / sqrt(variance + params.eps);
    for (var i = row_lane; i < end; i += ROW_LANES) {
        normed[index * vectors + i] = Elem4((x_out[index * vectors + i] - mean) * scale);
    }
}
