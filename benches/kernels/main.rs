//! Each kernel at the shapes of a ViT-S/16 and a ViT-B/16 at 224 pixels, in every variant that the adapter runs:
//! checked against the CPU path, then timed. An element is a floating-point operation, so that `Gelem/s` reads as
//! GFLOP/s; kernels that only move data are given in bytes. `TOME_ADAPTER` picks the adapter by a part of its
//! `NAME (Backend)`.

#[path = "../../tests/common/mod.rs"]
mod common;
mod merging;
mod pictures;
mod products;
mod rows;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tome_wgpu::kernel::Access;
use tome_wgpu::{Dispatch, KernelSpec};

use common::{Random, Rig, Tol, close, rigs_for, same};

/// A network's sizes at one batch size; heads are 64 wide and 16 tokens merge in a block.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    batch: u32,
    heads: u32,
}

const TOKENS: u32 = 197;
const HEAD_WIDTH: u32 = 64;
const R: u32 = 16;

impl Shape {
    fn channels(self) -> u32 {
        self.heads * HEAD_WIDTH
    }

    fn rows(self) -> u32 {
        self.batch * TOKENS
    }

    fn random(self) -> Random {
        Random(self.heads.into())
    }
}

/// One image and eight, except where a software driver would take minutes over eight.
fn shapes() -> Vec<Shape> {
    let software = common::rigs().iter().any(|rig| rig.gpu.caps().software);
    let batches: &[u32] = if software { &[1] } else { &[1, 8] };
    let models = [("vit_small", 6), ("vit_base", 12)];
    models
        .iter()
        .flat_map(|&(name, heads)| batches.iter().map(move |&batch| Shape { name, batch, heads }))
        .collect()
}

/// What a kernel must have written before its time counts.
enum Want<'a> {
    Floats(&'a [f32]),
    Numbers(&'a [u32]),
}

/// Times a call in every variant. `prepare` gives the dispatch and the buffer that it writes.
fn time(
    criterion: &mut Criterion,
    spec: &KernelSpec,
    call: String,
    throughput: Throughput,
    want: Want<'_>,
    prepare: impl Fn(&Rig) -> (Dispatch, wgpu::Buffer),
) {
    let mut group = group(criterion, spec.name);
    group.throughput(throughput);
    for rig in rigs_for(spec) {
        let (dispatch, written) = prepare(rig);
        rig.run(std::slice::from_ref(&dispatch));
        let what = format!("{} {call} {}", spec.name, rig.id());
        match want {
            // Far above rounding and far below what a wrong kernel gives; the tests are stricter.
            Want::Floats(want) => {
                // Kernels write first what is looked at.
                let first = spec.bindings.iter().find(|binding| binding.written);
                let stored = first.is_some_and(|binding| binding.access != Access::Word);
                let count = want.len() as u32;
                let got = if stored { rig.read_elems(&written, count) } else { rig.read(&written, count) };
                close(what, &got, want, Tol { abs: 1e-3, rel: 1e-3 })
            }
            Want::Numbers(want) => same(what, &rig.read(&written, want.len() as u32), want),
        }
        group.bench_function(BenchmarkId::new(&call, rig.id()), |bencher| {
            bencher.iter_custom(|count| rig.elapsed(count, |pass| dispatch.encode(pass)));
        });
    }
}

fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
) -> criterion::BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    group
}

/// Bytes of 4-byte elements.
fn bytes(elements: u32) -> Throughput {
    Throughput::BytesDecimal(u64::from(elements) * 4)
}

fn flops(factors: &[u32]) -> Throughput {
    Throughput::Elements(factors.iter().map(|&f| u64::from(f)).product())
}

criterion_group!(
    benches,
    pictures::resize_image,
    products::embed_patches,
    rows::layer_norm,
    products::matmul,
    rows::norm_heads,
    products::attention,
    merging::key_metric,
    merging::token_energy,
    merging::split_tokens,
    merging::find_matches,
    merging::rank_matches,
    merging::choose_matches,
    merging::match_lines,
    merging::match_frames,
    merging::merge_tokens,
    merging::merge_source,
    rows::pool,
    merging::unmerge,
);
criterion_main!(benches);
