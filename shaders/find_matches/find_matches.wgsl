// For every source its most similar destination, the lower one on equal similarity. One workgroup a few sources, its
// lanes over the destinations, each of which is read once for all of them: similarities are never stored.
struct Params {
    batch: u32,
    tokens: u32,
    width: u32,
    protect: u32,
    similarity: u32,   // 0 cosine (of unit metrics) and 1 dot product, 2 negative squared Euclidean distance
    srcs: u32,
    split_stride: u32, // elements between the lists of two images, 0 where all share one
    held: u32,         // sources at the front that never merge, protected ones among them
    by_size: f32,      // the exponent of the sizes' harmonic mean
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> metric: array<vec4<f32>>;     // [batch, tokens, width]
@group(0) @binding(2) var<storage, read> split: array<u32>;            // [batch or 1, tokens], see split_tokens
@group(0) @binding(3) var<storage, read> size: array<f32>;             // [batch, tokens]
@group(0) @binding(4) var<storage, read_write> score: array<f32>;      // [batch, srcs]
@group(0) @binding(5) var<storage, read_write> best: array<u32>;       // [batch, srcs], index of a destination

// Stand in for similarities, which lie within 4e36: a token without direction comes after every real one, a protected
// or held token after everything.
const UNDIRECTED: f32 = -1e38;
const PROTECTED: f32 = -2e38;

// The lowest score of two tokens that have a direction.
const FARTHEST: f32 = -5e37;

const EUCLIDEAN: u32 = 2u;

// Candidates of a lane's searches, one a source: the higher score wins, on equal scores the lower index. As vectors and by
// name, since drivers keep arrays that are gone through in loops in memory.
struct Bests {
    scores: vec4<f32>,
    indices: vec4<u32>,
}

fn better(a: Bests, b: Bests) -> Bests {
    let wins = (b.scores > a.scores) | ((b.scores == a.scores) & (b.indices < a.indices));
    return Bests(select(a.scores, b.scores, wins), select(a.indices, b.indices, wins));
}

fn directed(start: u32, vectors: u32) -> bool {
    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        squares += metric[start + i] * metric[start + i];
    }
    return any(squares > vec4<f32>());
}

// Similarities of tokens of these sizes to one of that size: the larger they are, the more alike they must be to merge.
// What is without direction stays so.
fn weighed(values: vec4<f32>, sizes: vec4<f32>, other: f32) -> vec4<f32> {
    // Padding, of size 0, counts as a token of size 1.
    let a = max(sizes, vec4<f32>(1.0));
    let b = max(other, 1.0);
    let means = 2.0 * a * b / (a + b);
    let top = select(1.0, 0.0, params.similarity == EUCLIDEAN);
    let result = max((values - top) * exp2(params.by_size * log2(means)) + top, vec4<f32>(FARTHEST));
    return select(values, result, values > vec4<f32>(UNDIRECTED));
}

fn find_best(index: u32, lane: Lane) {
    let across = (params.srcs + BESTS - 1u) / BESTS;
    let item = index / across;
    if item >= params.batch {
        return;
    }
    let first = index % across * BESTS;
    let dsts = params.tokens - params.srcs;
    let vectors = params.width / 4u;
    let last = params.srcs - 1u;
    let sources = vec4<u32>(
        source_token(item, min(first, last)),
        source_token(item, min(first + 1u, last)),
        source_token(item, min(first + 2u, last)),
        source_token(item, min(first + 3u, last)),
    );
    let s = (item * params.tokens + sources) * vectors;
    let numbers = first + vec4<u32>(0u, 1u, 2u, 3u);
    var candidates = Bests(vec4<f32>(PROTECTED), vec4<u32>());
    for (var i = lane.index; i < dsts; i += WG) {
        let destination = destination_token(item, i);
        let d = (item * params.tokens + destination) * vectors;
        var t0 = vec4<f32>();
        var t1 = vec4<f32>();
        var t2 = vec4<f32>();
        var t3 = vec4<f32>();
        if params.similarity == EUCLIDEAN {
            for (var j = 0u; j < vectors; j++) {
                let b = metric[d + j];
                let a0 = metric[s.x + j] - b;
                let a1 = metric[s.y + j] - b;
                let a2 = metric[s.z + j] - b;
                let a3 = metric[s.w + j] - b;
                t0 -= a0 * a0;
                t1 -= a1 * a1;
                t2 -= a2 * a2;
                t3 -= a3 * a3;
            }
        } else {
            for (var j = 0u; j < vectors; j++) {
                let b = metric[d + j];
                t0 += metric[s.x + j] * b;
                t1 += metric[s.y + j] * b;
                t2 += metric[s.z + j] * b;
                t3 += metric[s.w + j] * b;
            }
        }
        let one = vec4<f32>(1.0);
        var values = vec4<f32>(dot(t0, one), dot(t1, one), dot(t2, one), dot(t3, one));
        // By a product, only what is orthogonal can be without direction.
        let doubtful = (values == vec4<f32>()) | vec4<bool>(params.similarity == EUCLIDEAN);
        if any(doubtful) {
            let there = vec4<bool>(
                directed(s.x, vectors), directed(s.y, vectors), directed(s.z, vectors), directed(s.w, vectors),
            ) & vec4<bool>(directed(d, vectors));
            values = select(values, vec4<f32>(UNDIRECTED), doubtful & !there);
        }
        if HAS_SIZE != 0u {
            let sizes = vec4<f32>(
                size[item * params.tokens + sources.x], size[item * params.tokens + sources.y],
                size[item * params.tokens + sources.z], size[item * params.tokens + sources.w],
            );
            values = weighed(values, sizes, size[item * params.tokens + destination]);
        }
        let free = (numbers >= vec4<u32>(params.held)) & vec4<bool>(destination >= params.protect);
        candidates = better(candidates, Bests(select(vec4<f32>(PROTECTED), values, free), vec4<u32>(i)));
    }
    let winners = workgroup_bests(lane, candidates);
    if lane.index < BESTS && first + lane.index < params.srcs {
        let to = item * params.srcs + first + lane.index;
        score[to] = winners.scores[lane.index];
        best[to] = winners.indices[lane.index];
    }
}
