// The merge plan of frame groups that keep to themselves. In each every other token is a source and goes to the most similar
// of the others, and the best of each group merge, as many in one as in another; what is left keeps its order. One workgroup
// a group. The plan is rank_matches's.
struct Params {
    batch: u32,
    tokens: u32,
    width: u32,
    protect: u32,
    similarity: u32, // 0 cosine (of unit metrics) and 1 dot product, 2 negative squared Euclidean distance
    groups: u32,     // of an image
    lost: u32,       // by each group
    by_size: f32,    // the exponent of the sizes' harmonic mean
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> metric: array<vec4<f32>>;  // [batch, tokens, width]
@group(0) @binding(2) var<storage, read> size: array<f32>;          // [batch, tokens]
@group(0) @binding(3) var<storage, read_write> plan: array<u32>;    // [batch, 3 tokens - r], see rank_matches

const LANES: u32 = 256u;
// Lanes that look for a source's destination together, and the sources that are looked at at once.
const SEARCHERS: u32 = 4u;
const AT_ONCE: u32 = LANES / SEARCHERS;
const END: u32 = 0xffffffffu;
// Of the longest group.
const SOURCES: u32 = 1024u;

// As in find_matches.
const UNDIRECTED: f32 = -1e38;
const FARTHEST: f32 = -5e37;
const EUCLIDEAN: u32 = 2u;

// In `goals`, and no number of a destination: a source that does not merge, and what nobody merges into.
const STAYS: u32 = 0xfffffffeu;
const NOBODY: u32 = 0xffffffffu;

// Below every score.
const LOWEST: i32 = -0x7fffffff - 1;

// What each lane has found: a score as a number that rises with it, and the destination's number in the group.
var<workgroup> found_heights: array<i32, LANES>;
var<workgroup> found_goals: array<u32, LANES>;
// The same of each of the group's sources.
var<workgroup> heights: array<i32, SOURCES>;
var<workgroup> goals: array<u32, SOURCES>;

// As in rank_matches.
fn height_of(score: f32) -> i32 {
    let bits = select(bitcast<i32>(score), 0, score == 0.0);
    return bits ^ ((bits >> 31u) & 0x7fffffff);
}

// As in find_matches: large tokens must be more alike to merge.
fn weighed(value: f32, a: f32, b: f32) -> f32 {
    let mean = 2.0 * a * b / (a + b);
    let top = select(1.0, 0.0, params.similarity == EUCLIDEAN);
    return max((value - top) * exp2(params.by_size * log2(mean)) + top, FARTHEST);
}

fn directed(token: u32, vectors: u32) -> bool {
    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        let x = metric[token * vectors + i];
        squares += x * x;
    }
    return any(squares > vec4<f32>());
}

fn similarity(a: u32, b: u32) -> f32 {
    let vectors = params.width / 4u;
    var sums = vec4<f32>();
    if params.similarity == EUCLIDEAN {
        for (var i = 0u; i < vectors; i++) {
            let apart = metric[a * vectors + i] - metric[b * vectors + i];
            sums -= apart * apart;
        }
    } else {
        for (var i = 0u; i < vectors; i++) {
            sums += metric[a * vectors + i] * metric[b * vectors + i];
        }
    }
    var value = dot(sums, vec4<f32>(1.0));
    // By a product, only what is orthogonal can be without direction.
    if value == 0.0 || params.similarity == EUCLIDEAN {
        if !directed(a, vectors) || !directed(b, vectors) {
            return UNDIRECTED;
        }
    }
    if HAS_SIZE != 0u {
        // Padding, of size 0, counts as a token of size 1.
        value = weighed(value, max(size[a], 1.0), max(size[b], 1.0));
    }
    return value;
}

@compute @workgroup_size(LANES)
fn match_frames(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = params.tokens;
    let protect = params.protect;
    let lost = params.lost;
    let groups = params.groups;
    let index = workgroup_index(workgroup, workgroups);
    let item = index / groups;
    if item >= params.batch {
        return;
    }
    let frame = index % groups;
    let keep = item * (3u * n - groups * lost);
    let next = keep + n - groups * lost;
    let group = next + n;
    if frame == 0u {
        for (var i = lane; i < protect; i += LANES) {
            plan[keep + i] = i;
            plan[next + i] = END;
            plan[group + i] = i;
        }
    }

    // The group's first token, before and after, and the places of its first source and destination.
    let length = (n - protect) / groups;
    let first = protect + frame * length;
    let first_out = protect + frame * (length - lost);
    let first_source = protect % 2u;
    let first_destination = 1u - first_source;
    let destinations = (length + first_source) / 2u;
    let sources = length - destinations;
    let start = item * n + first;
    for (var base = 0u; base < sources; base += AT_ONCE) {
        let i = base + lane / SEARCHERS;
        var height = LOWEST;
        var goal = 0u;
        if i < sources {
            let source = start + 2u * i + first_source;
            for (var j = lane % SEARCHERS; j < destinations; j += SEARCHERS) {
                let other = height_of(similarity(source, start + 2u * j + first_destination));
                goal = select(goal, j, other > height);
                height = max(height, other);
            }
        }
        workgroupBarrier(); // what was found before has been read
        found_heights[lane] = height;
        found_goals[lane] = goal;
        workgroupBarrier();
        if lane % SEARCHERS == 0u && i < sources {
            for (var k = 1u; k < SEARCHERS; k++) {
                let other = found_heights[lane + k];
                let nearer = other == height && found_goals[lane + k] < goal;
                goal = select(goal, found_goals[lane + k], other > height || nearer);
                height = max(height, other);
            }
            heights[i] = height;
            goals[i] = goal;
        }
    }
    workgroupBarrier();
    for (var i = lane; i < sources; i += LANES) {
        var rank = 0u;
        for (var j = 0u; j < sources; j++) {
            rank += u32(heights[j] > heights[i] || (heights[j] == heights[i] && j < i));
        }
        goals[i] = select(STAYS, goals[i], rank < lost);
    }
    workgroupBarrier();

    for (var place = lane; place < length; place += LANES) {
        let i = place / 2u;
        let is_source = place % 2u == first_source;
        let merges = is_source && goals[i] != STAYS;
        // The destination whose group it is of, where that stands, and what has merged before that.
        let goal = select(select(i, NOBODY, is_source), goals[i], merges);
        let stands = select(place, 2u * goal + first_destination, merges);
        var gone = 0u;
        var follower = END;
        for (var j = 0u; j < sources; j++) {
            gone += u32(goals[j] != STAYS && 2u * j + first_source < stands);
            let follows = goals[j] == goal && (!is_source || j > i);
            follower = min(follower, select(END, first + 2u * j + first_source, follows));
        }
        let out = first_out + stands - gone;
        plan[next + first + place] = follower;
        plan[group + first + place] = out;
        if !merges {
            plan[keep + out] = first + place;
        }
    }
}
