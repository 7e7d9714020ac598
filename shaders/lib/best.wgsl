// A candidate of a search: the higher score wins, on equal scores the lower index.
struct Best {
    score: f32,
    index: u32,
}

// Searches that a workgroup makes at once.
const BESTS: u32 = 4u;

fn better(a: Best, b: Best) -> Best {
    if b.score > a.score || (b.score == a.score && b.index < a.index) {
        return b;
    }
    return a;
}
