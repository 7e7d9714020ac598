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
