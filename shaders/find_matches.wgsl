// For every source its most similar destination, the lower one on equal similarity. One workgroup a source, its
// lanes over the destinations: similarities are never stored.
struct Params {
    batch: u32,
    tokens: u32,
    width: u32,
    protect: u32,
    similarity: u32,   // 0 cosine (of unit metrics) and 1 dot product, 2 negative squared Euclidean distance
    srcs: u32,
    split_stride: u32, // elements between the lists of two images, 0 where all share one
    has_split: u32,
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

fn directed(start: u32, vectors: u32) -> bool {
    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        squares += metric[start + i] * metric[start + i];
    }
    return any(squares > vec4<f32>());
}

@compute @workgroup_size(WG)
fn find_matches(grid: Grid, lane: Lane) {
    let index = workgroup_index(grid);
    let item = index / params.srcs;
    if item >= params.batch {
        return;
    }
    let dsts = params.tokens - params.srcs;
    let vectors = params.width / 4u;
    let source = source_token(item, index % params.srcs);
    let a_start = (item * params.tokens + source) * vectors;

    var candidate = Best(PROTECTED, 0u);
    if source >= params.protect {
        for (var i = lane.index; i < dsts; i += WG) {
            let destination = destination_token(item, i);
            let b_start = (item * params.tokens + destination) * vectors;
            var terms = vec4<f32>();
            if params.similarity == EUCLIDEAN {
                for (var j = 0u; j < vectors; j++) {
                    let apart = metric[a_start + j] - metric[b_start + j];
                    terms -= apart * apart;
                }
            } else {
                for (var j = 0u; j < vectors; j++) {
                    terms += metric[a_start + j] * metric[b_start + j];
                }
            }
            var value = dot(terms, vec4<f32>(1.0));
            // By a product, only what is orthogonal can be without direction.
            let doubtful = value == 0.0 || params.similarity == EUCLIDEAN;
            if doubtful && !(directed(a_start, vectors) && directed(b_start, vectors)) {
                value = UNDIRECTED;
            }
            candidate = better(candidate, Best(select(PROTECTED, value, destination >= params.protect), i));
        }
    }
    let winner = workgroup_best(lane, candidate);
    if lane.index == 0u {
        score[index] = winner.score;
        best[index] = winner.index;
    }
}
