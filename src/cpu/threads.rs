//! Work spread over rayon's threads.

use rayon::prelude::*;

/// Threads that work may be spread over: one where the caller is itself one of rayon's threads.
pub fn threads() -> usize {
    if rayon::current_thread_index().is_some() { 1 } else { rayon::current_num_threads() }
}

/// Calls `work` with the index and the values of each chunk of `length`; the last may be shorter.
pub fn for_each_chunk<T: Send>(values: &mut [T], length: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if threads() > 1 {
        values.par_chunks_mut(length).enumerate().for_each(|(i, chunk)| work(i, chunk));
    } else {
        values.chunks_mut(length).enumerate().for_each(|(i, chunk)| work(i, chunk));
    }
}
