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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> metric: array<vec4<f32>>;     // [batch, tokens, width]
@group(0) @binding(2) var<storage, read> split: array<u32>;            // [batch or 1, tokens], see split_tokens
@group(0) @binding(3) var<storage, read_write> score: array<f32>;      // [batch, srcs]
@group(0) @binding(4) var<storage, read_write> best: array<u32>;       // [batch, srcs], index of a destination

// Stand in for similarities, which lie within 4e36: a token without direction comes after every real one, a protected
// token after everything.
const UNDIRECTED: f32 = -1e38;
const PROTECTED: f32 = -2e38;

const EUCLIDEAN: u32 = 2u;

// A candidate of a search: the higher score wins, on equal scores the lower index.
struct Best {
    score: f32,
    index: u32,
}

fn better(a: Best, b: Best) -> Best {
    if b.score > a.score || (b.score == a.score && b.index < a.index) {
        return b;
    }
    return a;
}

fn directed(start: u32, vectors: u32) -> bool {
    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        squares += metric[start + i] * metric[start + i];
    }
    return any(squares > vec4<f32>());
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
    var sources: array<u32, BESTS>;
    var starts: array<u32, BESTS>;
    var candidates: array<Best, BESTS>;
    for (var s = 0u; s < BESTS; s++) {
        sources[s] = source_token(item, min(first + s, params.srcs - 1u));
        starts[s] = (item * params.tokens + sources[s]) * vectors;
        candidates[s] = Best(PROTECTED, 0u);
    }
    let s0 = starts[0];
    let s1 = starts[1];
    let s2 = starts[2];
    let s3 = starts[3];
    for (var i = lane.index; i < dsts; i += WG) {
        let destination = destination_token(item, i);
        let start = (item * params.tokens + destination) * vectors;
        // By name: drivers keep arrays that are gone through in loops in memory.
        var t0 = vec4<f32>();
        var t1 = vec4<f32>();
        var t2 = vec4<f32>();
        var t3 = vec4<f32>();
        if params.similarity == EUCLIDEAN {
            for (var j = 0u; j < vectors; j++) {
                let b = metric[start + j];
                let a0 = metric[s0 + j] - b;
                let a1 = metric[s1 + j] - b;
                let a2 = metric[s2 + j] - b;
                let a3 = metric[s3 + j] - b;
                t0 -= a0 * a0;
                t1 -= a1 * a1;
                t2 -= a2 * a2;
                t3 -= a3 * a3;
            }
        } else {
            for (var j = 0u; j < vectors; j++) {
                let b = metric[start + j];
                t0 += metric[s0 + j] * b;
                t1 += metric[s1 + j] * b;
                t2 += metric[s2 + j] * b;
                t3 += metric[s3 + j] * b;
            }
        }
        var terms = array<vec4<f32>, BESTS>(t0, t1, t2, t3);
        for (var s = 0u; s < BESTS; s++) {
            var value = dot(terms[s], vec4<f32>(1.0));
            // By a product, only what is orthogonal can be without direction.
            let doubtful = value == 0.0 || params.similarity == EUCLIDEAN;
            if doubtful && !(directed(starts[s], vectors) && directed(start, vectors)) {
                value = UNDIRECTED;
            }
            let free = sources[s] >= params.protect && destination >= params.protect;
            if free {
                candidates[s] = better(candidates[s], Best(value, i));
            }
        }
    }
    let winners = workgroup_bests(lane, candidates);
    if lane.index < BESTS && first + lane.index < params.srcs {
        score[item * params.srcs + first + lane.index] = winners[lane.index].score;
        best[item * params.srcs + first + lane.index] = winners[lane.index].index;
    }
}
