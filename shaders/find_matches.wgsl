// For every even token its most similar odd token by the dot product of unit metrics, the lower one on equal
// similarity. One workgroup an even token, its lanes over the odd tokens: similarities are never stored.
struct Params {
    batch: u32,
    tokens: u32,
    width: u32,
    protect: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> metric: array<vec4<f32>>;     // [batch, tokens, width]
@group(0) @binding(2) var<storage, read_write> score: array<f32>;      // [batch, even tokens]
@group(0) @binding(3) var<storage, read_write> best: array<u32>;       // [batch, even tokens], index of an odd token

// Stand in for similarities, which lie in [-1, 1]: a token without direction comes after every real one,
// a protected token after everything.
const UNDIRECTED: f32 = -2.0;
const PROTECTED: f32 = -4.0;

fn directed(start: u32, vectors: u32) -> bool {
    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        squares += metric[start + i] * metric[start + i];
    }
    return any(squares > vec4<f32>());
}

@compute @workgroup_size(WG)
fn find_matches(grid: Grid, lane: Lane) {
    let evens = (params.tokens + 1u) / 2u;
    let odds = params.tokens / 2u;
    let index = workgroup_index(grid);
    let item = index / evens;
    let even = index % evens;
    if item >= params.batch {
        return;
    }
    let vectors = params.width / 4u;
    let a_start = (item * params.tokens + even * 2u) * vectors;

    var candidate = Best(PROTECTED, 0u);
    if even * 2u >= params.protect {
        for (var odd = lane.index; odd < odds; odd += WG) {
            let b_start = (item * params.tokens + odd * 2u + 1u) * vectors;
            var products = vec4<f32>();
            for (var i = 0u; i < vectors; i++) {
                products += metric[a_start + i] * metric[b_start + i];
            }
            var value = dot(products, vec4<f32>(1.0));
            // Only what is orthogonal can be without direction.
            if value == 0.0 && !(directed(a_start, vectors) && directed(b_start, vectors)) {
                value = UNDIRECTED;
            }
            candidate = better(candidate, Best(select(PROTECTED, value, odd * 2u + 1u >= params.protect), odd));
        }
    }
    let winner = workgroup_best(lane, candidate);
    if lane.index == 0u {
        score[index] = winner.score;
        best[index] = winner.index;
    }
}
