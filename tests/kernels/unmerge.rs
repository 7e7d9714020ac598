use tome_wgpu::cpu;
use tome_wgpu::kernels::unmerge::{Io, Params, SPEC, unmerge};

use crate::common::{Random, Rig, rigs_for, same};

fn check(rig: &Rig, params: Params) {
    let Params { batch, tokens, sources, first, channels } = params;
    let values = batch * (sources - first) * channels;
    let mut random = Random(channels.into());
    let x = random.floats(batch * tokens * channels);
    let source: Vec<u32> = (0..batch * sources).map(|_| random.below(tokens)).collect();
    let mut want = vec![f32::NAN; values as usize];
    cpu::unmerge(&params, &x, &source, &mut want);

    let (x, source, y) = (rig.data(&x), rig.data(&source), rig.unwritten(values));
    let io = Io { x: (&x).into(), source: (&source).into(), y: (&y).into() };
    rig.run(&[unmerge(&rig.gpu, params, io).unwrap()]);
    // Copies.
    same(format!("{} {params:?}", rig.id()), &rig.read::<f32>(&y, values), &want);
}

#[test]
fn matches_cpu() {
    // 64 lanes take a vector of four each.
    for rig in rigs_for(&SPEC) {
        for channels in [4, 252, 256, 260, 768] {
            check(rig, Params { batch: 2, tokens: 13, sources: 29, first: 0, channels });
        }
        check(rig, Params { batch: 3, tokens: 1, sources: 1, first: 0, channels: 20 });
        for first in [0, 1, 5, 196] {
            check(rig, Params { batch: 2, tokens: 99, sources: 197, first, channels: 20 });
        }
    }
}

#[test]
fn more_tokens_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        check(rig, Params { batch: 360, tokens: 11, sources: 197, first: 1, channels: 4 });
    }
}
