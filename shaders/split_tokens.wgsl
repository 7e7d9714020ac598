// A list of who may merge into whom: the sources, then the destinations, both in order of position, the protected
// tokens being the first sources. One workgroup a list, each of its lanes a run of tokens.
struct Params {
    lists: u32,
    tokens: u32,
    protect: u32,
    srcs: u32,         // sources, protected ones included
    mode: u32,
    columns: u32,      // of the grid that the unprotected tokens form
    cell_height: u32,
    cell_width: u32,
    place: u32,        // within a cell, row by row
    seed: u32,
    first_list: u32,   // the number of the first list
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> split: array<u32>; // [lists, tokens]

// The first sources of the unprotected tokens; random ones; all but one token of each cell; all but a random one.
const FIRST: u32 = 0u;
const RANDOM: u32 = 1u;
const RANDOM_CELLS: u32 = 3u;

const LANES: u32 = 256u;

// PCG's output function over one step of its generator (pcg_hash in Jarzynski and Olano, "Hash Functions for GPU
// Rendering", 2020). Different numbers have different hashes.
fn pcg(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn is_destination(list: u32, token: u32) -> bool {
    if token < params.protect {
        return false;
    }
    if params.mode == FIRST {
        return token >= params.srcs;
    }
    if params.mode == RANDOM {
        // The sources have the lowest hashes; no two are equal.
        let salt = pcg((params.first_list + list) ^ pcg(params.seed));
        let own = pcg(token ^ salt);
        var before = params.protect;
        for (var other = params.protect; other < params.tokens; other++) {
            before += u32(pcg(other ^ salt) < own);
        }
        return before >= params.srcs;
    }
    let row = (token - params.protect) / params.columns;
    let column = (token - params.protect) % params.columns;
    let rows = (params.tokens - params.protect) / params.columns;
    // Only whole cells have a destination.
    let cell_row = row / params.cell_height;
    let cell_column = column / params.cell_width;
    let cell_columns = params.columns / params.cell_width;
    if cell_row >= rows / params.cell_height || cell_column >= cell_columns {
        return false;
    }
    var place = params.place;
    if params.mode == RANDOM_CELLS {
        let cell = cell_row * cell_columns + cell_column;
        place = pcg(cell ^ pcg(params.seed)) % (params.cell_height * params.cell_width);
    }
    return row % params.cell_height * params.cell_width + column % params.cell_width == place;
}

var<workgroup> counts: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn split_tokens(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let list = workgroup_index(workgroup, workgroups);
    if list >= params.lists {
        return;
    }
    let n = params.tokens;
    let run = (n + LANES - 1u) / LANES;
    let begin = min(lane * run, n);
    let end = min(begin + run, n);
    var count = 0u;
    for (var token = begin; token < end; token++) {
        count += u32(is_destination(list, token));
    }
    counts[lane] = count;
    workgroupBarrier();
    var destinations = 0u;
    for (var i = 0u; i < lane; i++) {
        destinations += counts[i];
    }
    for (var token = begin; token < end; token++) {
        if is_destination(list, token) {
            split[list * n + params.srcs + destinations] = token;
            destinations++;
        } else {
            split[list * n + token - destinations] = token;
        }
    }
}
