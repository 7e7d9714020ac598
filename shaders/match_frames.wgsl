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

// As in find_matches: large tokens must be more alike to merge, and padding, of size 0, counts as a token of size 1.
fn weighed(values: vec4<f32>, sizes: vec4<f32>, other: f32) -> vec4<f32> {
    let a = max(sizes, vec4<f32>(1.0));
    let b = max(other, 1.0);
    let means = 2.0 * a * b / (a + b);
    let top = select(1.0, 0.0, params.similarity == EUCLIDEAN);
    return max((values - top) * exp2(params.by_size * log2(means)) + top, vec4<f32>(FARTHEST));
}

fn directed(start: u32, vectors: u32) -> bool {
    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        let x = metric[start + i];
        squares += x * x;
    }
    return any(squares > vec4<f32>());
}

// How much a token is like four others.
fn similarities(token: u32, others: vec4<u32>) -> vec4<f32> {
    let vectors = params.width / 4u;
    let s = token * vectors;
    let d = others * vectors;
    var t0 = vec4<f32>();
    var t1 = vec4<f32>();
    var t2 = vec4<f32>();
    var t3 = vec4<f32>();
    if params.similarity == EUCLIDEAN {
        for (var i = 0u; i < vectors; i++) {
            let a = metric[s + i];
            let b0 = a - metric[d.x + i];
            let b1 = a - metric[d.y + i];
            let b2 = a - metric[d.z + i];
            let b3 = a - metric[d.w + i];
            t0 -= b0 * b0;
            t1 -= b1 * b1;
            t2 -= b2 * b2;
            t3 -= b3 * b3;
        }
    } else {
        for (var i = 0u; i < vectors; i++) {
            let a = metric[s + i];
            t0 += a * metric[d.x + i];
            t1 += a * metric[d.y + i];
            t2 += a * metric[d.z + i];
            t3 += a * metric[d.w + i];
        }
    }
    let one = vec4<f32>(1.0);
    var values = vec4<f32>(dot(t0, one), dot(t1, one), dot(t2, one), dot(t3, one));
    // By a product, only what is orthogonal can be without direction.
    let doubtful = (values == vec4<f32>()) | vec4<bool>(params.similarity == EUCLIDEAN);
    if HAS_SIZE != 0u {
        let sizes = vec4<f32>(size[others.x], size[others.y], size[others.z], size[others.w]);
        values = weighed(values, sizes, size[token]);
    }
    if any(doubtful) {
        let there = vec4<bool>(directed(s, vectors)) & vec4<bool>(
            directed(d.x, vectors), directed(d.y, vectors), directed(d.z, vectors), directed(d.w, vectors),
        );
        values = select(values, vec4<f32>(UNDIRECTED), doubtful & !there);
    }
    return values;
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
            // Four destinations at a time, the last of them as often as there are too few.
            for (var j = lane % SEARCHERS * 4u; j < destinations; j += SEARCHERS * 4u) {
                let numbers = min(j + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(destinations - 1u));
                let values = similarities(source, start + 2u * numbers + first_destination);
                for (var k = 0u; k < 4u; k++) {
                    let other = height_of(values[k]);
                    goal = select(goal, numbers[k], other > height);
                    height = max(height, other);
                }
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
