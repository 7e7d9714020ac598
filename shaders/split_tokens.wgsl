// A list of who may merge into whom: the sources, then the destinations, both in order of position, the protected
// tokens being the first sources. By energy there are more sources that never merge, and they come behind the protected
// ones. One workgroup a list, each of its lanes a run of tokens.
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
@group(0) @binding(1) var<storage, read> energy: array<f32>;      // [lists, tokens]
@group(0) @binding(2) var<storage, read_write> split: array<u32>; // [lists, tokens]

// The first sources of the unprotected tokens; random ones; all but one token of each cell; all but a random one; by
// energy.
const FIRST: u32 = 0u;
const RANDOM: u32 = 1u;
const RANDOM_CELLS: u32 = 3u;
const ENERGY: u32 = 4u;

// Where a token stands: among the sources that come first, those that merge by energy, the destinations.
const FRONT: u32 = 0u;
const MERGES: u32 = 1u;
const DESTINATION: u32 = 2u;

const LANES: u32 = 256u;

// PCG's output function over one step of its generator (pcg_hash in Jarzynski and Olano, "Hash Functions for GPU
// Rendering", 2020). Different numbers have different hashes.
fn pcg(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// A float's bits as a number that rises with it, as in rank_matches: no two tokens get one place, whatever is in there.
fn height_of(energy: f32) -> i32 {
    let bits = select(bitcast<i32>(energy), 0, energy == 0.0);
    return bits ^ ((bits >> 31u) & 0x7fffffff);
}

// The unprotected tokens that come before one in falling order of energy. Four at once, so that there is less to wait for.
fn place_by_energy(list: u32, token: u32) -> u32 {
    let last = params.tokens - 1u;
    let start = list * params.tokens;
    let own = vec4<i32>(height_of(energy[start + token]));
    var before = vec4<u32>();
    for (var begin = params.protect; begin < params.tokens; begin += 4u) {
        let others = begin + vec4<u32>(0u, 1u, 2u, 3u);
        let at = start + min(others, vec4<u32>(last));
        let heights = vec4<i32>(
            height_of(energy[at.x]), height_of(energy[at.y]), height_of(energy[at.z]), height_of(energy[at.w]),
        );
        let first = (heights > own) | ((heights == own) & (others < vec4<u32>(token)));
        before += select(vec4<u32>(), vec4<u32>(1u), first & (others <= vec4<u32>(last)));
    }
    return before.x + before.y + before.z + before.w;
}

fn kind_of(list: u32, token: u32) -> u32 {
    if HAS_ENERGY != 0u && params.mode == ENERGY {
        if token < params.protect {
            return FRONT;
        }
        let place = place_by_energy(list, token);
        return select(FRONT, MERGES + place % 2u, place / 2u < params.tokens - params.srcs);
    }
    return select(FRONT, DESTINATION, is_destination(list, token));
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

// Tokens of each lane's run that merge by energy, and destinations.
var<workgroup> counts: array<vec2<u32>, LANES>;

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
    var count = vec2<u32>();
    for (var token = begin; token < end; token++) {
        let kind = kind_of(list, token);
        count += vec2<u32>(u32(kind == MERGES), u32(kind == DESTINATION));
    }
    counts[lane] = count;
    workgroupBarrier();
    var before = vec2<u32>();
    for (var i = 0u; i < lane; i++) {
        before += counts[i];
    }
    // As many merge as there are destinations.
    let held = 2u * params.srcs - n;
    for (var token = begin; token < end; token++) {
        let kind = kind_of(list, token);
        let front = token - before.x - before.y;
        let place = select(select(front, held + before.x, kind == MERGES), params.srcs + before.y, kind == DESTINATION);
        split[list * n + place] = token;
        before += vec2<u32>(u32(kind == MERGES), u32(kind == DESTINATION));
    }
}
