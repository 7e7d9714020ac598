//! Work spread over rayon's threads.

use std::cell::Cell;
use std::sync::Once;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

thread_local! {
    /// Whether this thread of rayon's has one piece of work for all of them: see [`lead`].
    static LEADS: Cell<bool> = const { Cell::new(false) };
}

/// Has rayon's threads made, fewer where the system refuses so many, at worst none but this one: rayon by itself panics
/// when it is first used. Where there are some already nothing is done.
pub fn make_threads() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let wanted = std::env::var("RAYON_NUM_THREADS").ok().and_then(|count| count.parse().ok());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Many more than cores are of no use, and what they take is not there for others.
        let mut count: usize = wanted.filter(|&count| count > 0).unwrap_or(cores).min(4 * cores);
        // The pool for all can be tried once only, so that another is tried before.
        while count > 0 && ThreadPoolBuilder::new().num_threads(count).build().is_err() {
            count /= 2;
        }
        // An error says that there is one already.
        _ = match count {
            // Work that others hand over waits for this thread then, which is better than none.
            0 => ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global(),
            _ => ThreadPoolBuilder::new().num_threads(count).build_global(),
        };
    });
}

/// Threads that work may be spread over: one where the caller is itself one of rayon's threads and does not [`lead`].
pub fn threads() -> usize {
    if rayon::current_thread_index().is_some() && !LEADS.get() { 1 } else { rayon::current_num_threads() }
}

/// Does work, which spreads its parts, on one of rayon's threads: there it need not sleep until a part is done and be
/// woken again, hundreds of times an image.
pub fn lead<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| {
        let before = LEADS.replace(true);
        let result = work();
        LEADS.set(before);
        result
    })
}

/// Calls `work` with the index and the values of each chunk of `length`; the last may be shorter.
pub fn for_each_chunk<T: Send>(values: &mut [T], length: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if threads() > 1 {
        values.par_chunks_mut(length).enumerate().for_each(|(i, chunk)| work(i, chunk));
    } else {
        values.chunks_mut(length).enumerate().for_each(|(i, chunk)| work(i, chunk));
    }
}

/// What `each` makes of the index and the values of each chunk of `length`; the last may be shorter.
pub fn map_chunks<T: Sync, R: Send>(
    values: &[T],
    length: usize,
    each: impl Fn((usize, &[T])) -> R + Sync + Send,
) -> Vec<R> {
    values.par_chunks(length).enumerate().map(each).collect()
}
