use tome_wgpu::cpu;
use tome_wgpu::kernels::unmerge::{Io, Params, SPEC, unmerge};

use crate::common::{Random, Rig, rigs_for, same};

fn check(rig: &Rig, params: Params) {
    let Params { batch, tokens, sources, channels } = params;
    let mut random = Random(channels.into());
    let x = random.floats(batch * tokens * channels);
    let source: Vec<u32> = (0..batch * sources).map(|_| random.below(tokens)).collect();
    let mut want = vec![f32::NAN; (batch * sources * channels) as usize];
    cpu::unmerge(&params, &x, &source, &mut want);

    let (x, source, y) = (rig.data(&x), rig.data(&source), rig.unwritten(batch * sources * channels));
    let io = Io { x: (&x).into(), source: (&source).into(), y: (&y).into() };
    rig.run(&[unmerge(&rig.gpu, params, io).unwrap()]);
    // Copies.
    same(format!("{} {params:?}", rig.id()), &rig.read::<f32>(&y, batch * sources * channels), &want);
}

#[test]
fn matches_cpu() {
    // 64 lanes take a vector of four each.
    for rig in rigs_for(&SPEC) {
        for channels in [4, 252, 256, 260, 768] {
            check(rig, Params { batch: 2, tokens: 13, sources: 29, channels });
        }
        check(rig, Params { batch: 3, tokens: 1, sources: 1, channels: 20 });
        check(rig, Params { batch: 2, tokens: 99, sources: 197, channels: 20 });
    }
}

#[test]
fn more_tokens_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        check(rig, Params { batch: 360, tokens: 11, sources: 197, channels: 4 });
    }
}
