//! What [`threads`](super::threads) offers, where there is one thread: in WebAssembly, which rayon would only make larger.

/// Makes nothing: the caller's thread is the only one.
pub fn make_threads() {}

/// Threads that work may be spread over.
pub fn threads() -> usize {
    1
}

/// Does work, which would spread its parts if it could.
pub fn lead<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Calls `work` with the index and the values of each chunk of `length`; the last may be shorter.
pub fn for_each_chunk<T>(values: &mut [T], length: usize, work: impl Fn(usize, &mut [T])) {
    values.chunks_mut(length).enumerate().for_each(|(i, chunk)| work(i, chunk));
}

/// What `each` makes of the index and the values of each chunk of `length`; the last may be shorter.
pub fn map_chunks<T, R>(values: &[T], length: usize, each: impl Fn((usize, &[T])) -> R) -> Vec<R> {
    values.chunks(length).enumerate().map(each).collect()
}
