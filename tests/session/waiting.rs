//! Streams, tasks and threads.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tome_wgpu::Error;
use tome_wgpu::vit::{Outputs, Want};

use crate::networks::{config, images, options, sessions};

#[test]
fn a_stream_gives_every_batch_its_own_results_in_order() {
    let config = config();
    let per_image = config.image_values();
    for session in sessions(&config) {
        let all = images(&config, 12);
        // Of different sizes, more than are on their way at once.
        let batches: Vec<&[f32]> = [0..2, 2..3, 3..7, 7..9, 9..11, 11..12]
            .map(|range| &all[range.start * per_image..range.end * per_image])
            .to_vec();
        let want: Vec<Outputs> =
            batches.iter().map(|batch| session.run(*batch, &options(3), Want::ALL).unwrap()).collect();
        let mut got = Vec::new();
        let mut stream = session.stream(&options(3), Want::ALL);
        for batch in &batches {
            if stream.is_full() {
                got.extend(stream.pop().unwrap());
            }
            stream.push(*batch).unwrap();
            // What is refused leaves the others alone.
            assert!(matches!(stream.push(&[0.0f32][..]), Err(Error::Input(_))));
        }
        while let Some(outputs) = stream.pop().unwrap() {
            got.push(outputs);
        }
        assert_eq!(got, want);
        // Nothing need be taken before the end.
        batches.iter().for_each(|batch| stream.push(*batch).unwrap());
        for want in &want {
            assert_eq!(stream.pop().unwrap().as_ref(), Some(want));
        }
        // Dropped with batches on their way.
        stream.push(batches[2]).unwrap();
        stream.push(batches[0]).unwrap();
        drop(stream);
        assert_eq!(session.run(batches[0], &options(3), Want::ALL).unwrap(), want[0]);
    }
}

/// What the device computes is recorded before the images are there.
#[test]
fn batches_of_one_kind_have_their_own_images() {
    let config = config();
    let all = images(&config, 10);
    let batches: Vec<&[f32]> = all.chunks(2 * config.image_values()).collect();
    let fresh = |batch: &[f32]| {
        sessions(&config).into_iter().map(|s| s.run(batch, &options(3), Want::ALL).unwrap()).collect()
    };
    let want: Vec<Vec<Outputs>> = batches.iter().map(|batch| fresh(batch)).collect();
    for (i, session) in sessions(&config).iter().enumerate() {
        for (batch, want) in batches.iter().zip(&want) {
            assert_eq!(session.run(*batch, &options(3), Want::ALL).unwrap(), want[i]);
        }
        let mut stream = session.stream(&options(3), Want::ALL);
        let mut got = Vec::new();
        for batch in &batches {
            if stream.is_full() {
                got.extend(stream.pop().unwrap());
            }
            stream.push(*batch).unwrap();
            // Of another kind, in between.
            assert_eq!(session.run(*batch, &options(3), Want::LOGITS).unwrap().batch, 2);
        }
        while let Some(outputs) = stream.pop().unwrap() {
            got.push(outputs);
        }
        assert!(got.iter().zip(&want).all(|(got, want)| *got == want[i]), "{}", session.device());
        assert_eq!(got.len(), want.len());
    }
}

#[test]
fn a_stream_outlives_the_handle() {
    let config = config();
    for session in sessions(&config) {
        let images = images(&config, 2);
        let want = session.run(&images, &options(3), Want::ALL).unwrap();
        let mut stream = session.stream(&options(3), Want::ALL);
        stream.push(&images).unwrap();
        drop(session);
        stream.push(&images).unwrap();
        // On another thread, too.
        let taken = thread::spawn(move || [stream.pop().unwrap(), stream.pop().unwrap()]).join().unwrap();
        assert_eq!(taken, [Some(want.clone()), Some(want)]);
    }
}

#[test]
fn handles_go_from_thread_to_thread() {
    fn shared<T: Send + Sync>() {}
    shared::<tome_wgpu::Gpu>();
    shared::<tome_wgpu::Session>();
    shared::<tome_wgpu::Stream>();
    shared::<tome_wgpu::run::Runner>();
}

#[test]
fn threads_share_a_session() {
    let config = config();
    for session in sessions(&config) {
        let all: Vec<Vec<f32>> = (1..=4).map(|count| images(&config, count)).collect();
        let want: Vec<Outputs> =
            all.iter().map(|images| session.run(images, &options(3), Want::ALL).unwrap()).collect();
        thread::scope(|scope| {
            for _ in 0..2 {
                for (images, want) in all.iter().zip(&want) {
                    let session = session.clone();
                    scope.spawn(move || {
                        for _ in 0..8 {
                            assert_eq!(session.run(images, &options(3), Want::ALL).unwrap(), *want);
                        }
                    });
                }
            }
        });
    }
}

/// Wakes a thread and counts.
struct Counting {
    thread: Thread,
    woken: AtomicUsize,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Polls a future when it has been woken and only then; says how often.
fn count_polls<T>(future: impl Future<Output = T> + Send) -> (T, usize) {
    let counting = Arc::new(Counting { thread: thread::current(), woken: AtomicUsize::new(0) });
    let waker = Waker::from(counting.clone());
    let mut future = pin!(future);
    for polls in 1.. {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (value, polls);
        }
        while counting.woken.swap(0, Ordering::SeqCst) == 0 {
            thread::park();
        }
    }
    unreachable!()
}

#[test]
fn async_calls_are_polled_only_when_there_is_something_to_do() {
    let config = config();
    for session in sessions(&config) {
        let images = images(&config, 20);
        let want = session.run(&images, &options(3), Want::ALL).unwrap();
        // A schedule that is prepared already, and one that is not.
        for r in [3, 4] {
            let (outputs, polls) = count_polls(session.run_async(&images, &options(r), Want::ALL));
            let outputs = outputs.unwrap();
            assert!(r != 3 || outputs == want, "{}", session.device());
            // The first, and one when the plan is there, the submission is done, results and images are mapped.
            assert!(polls <= 6, "{}: polled {polls} times", session.device());
        }
        let (taken, polls) = count_polls(async {
            let mut stream = session.stream(&options(3), Want::ALL);
            stream.push_async(&images).await?;
            stream.push_async(&images).await?;
            Ok::<_, Error>([stream.pop_async().await?, stream.pop_async().await?])
        });
        assert_eq!(taken.unwrap(), [Some(want.clone()), Some(want)]);
        assert!(polls <= 10, "{}: polled {polls} times", session.device());
    }
}

#[test]
fn tasks_run_side_by_side() {
    let config = config();
    for session in sessions(&config) {
        let all: Vec<Vec<f32>> = (1..=4).map(|count| images(&config, count)).collect();
        thread::scope(|scope| {
            for images in &all {
                let session = session.clone();
                scope.spawn(move || {
                    let want = session.run(images, &options(3), Want::ALL).unwrap();
                    for _ in 0..8 {
                        let later = pollster::block_on(session.run_async(images, &options(3), Want::ALL));
                        assert_eq!(later.unwrap(), want);
                    }
                });
            }
        });
    }
}

#[test]
fn a_dropped_future_leaves_nothing_behind() {
    let config = config();
    for session in sessions(&config) {
        let images = images(&config, 2);
        let want = session.run(&images, &options(3), Want::ALL).unwrap();
        {
            let options = options(3);
            let mut dropped = pin!(session.run_async(&images, &options, Want::ALL));
            let mut context = Context::from_waker(Waker::noop());
            let _ = dropped.as_mut().poll(&mut context);
        }
        assert_eq!(want, session.run(&images, &options(3), Want::ALL).unwrap(), "{}", session.device());
    }
}
