use tome_wgpu::kernels::find_matches::PROTECTED;
use tome_wgpu::kernels::merge_source::{Io, Params, SPEC, merge_source};
use tome_wgpu::kernels::rank_matches;
use tome_wgpu::{Gpu, reference};

use crate::common::{Random, Rig, rigs_for, same, set};

/// A plan for scores without ties, every edge going to one of `targets` odd tokens.
pub fn random_plan(
    random: &mut Random,
    batch: u32,
    tokens: u32,
    r: u32,
    protect: u32,
    targets: u32,
) -> Vec<u32> {
    let evens = batch * tokens.div_ceil(2);
    let score = random.floats(evens).into_iter().enumerate().map(|(i, v)| {
        let even = i as u32 % tokens.div_ceil(2);
        if 2 * even < protect { PROTECTED } else { v }
    });
    let score: Vec<f32> = score.collect();
    let best: Vec<u32> = (0..evens).map(|_| protect / 2 + random.below(targets)).collect();
    let params = rank_matches::Params::new(batch, tokens, r, protect);
    let (mut rank, mut plan) = (vec![0; evens as usize], vec![0; (batch * params.plan_len()) as usize]);
    reference::rank_matches(&params, &score, &best, None, &mut rank, &mut plan);
    plan
}

fn check(rig: &Rig, params: Params, plan: &[u32], source: Option<&[u32]>) -> Vec<u32> {
    let count = params.batch * params.sources;
    let mut want = vec![u32::MAX; count as usize];
    reference::merge_source(&params, plan, source, &mut want);
    let (plan, source_out) = (rig.data(plan), rig.unwritten(count));
    let source = source.map(|source| rig.data(source));
    let io = set!(Io::new(&plan, &source_out); source: source.as_ref().map(Into::into));
    rig.run(&[merge_source(&rig.gpu, params, io).unwrap()]);
    same(format!("{} {params:?}", rig.id()), &rig.read::<u32>(&source_out, count), &want);
    want
}

#[test]
fn matches_the_reference() {
    for rig in rigs_for(&SPEC) {
        for (tokens, r, protect) in
            [(1u32, 0, 1), (2, 1, 0), (3, 1, 1), (64, 20, 1), (197, 16, 1), (198, 98, 2), (51, 25, 0)]
        {
            let mut random = Random(tokens.into());
            let targets = (tokens / 2).saturating_sub(protect / 2).max(1);
            let plan = random_plan(&mut random, 2, tokens, r, protect, targets);
            // As after earlier merges: more original tokens than tokens, some of them together.
            let sources = tokens + 60;
            let source: Vec<u32> = (0..2 * sources).map(|_| random.below(tokens)).collect();
            check(rig, Params::new(2, tokens, r, sources), &plan, Some(&source));
            // The plan itself.
            let first = check(rig, Params::new(2, tokens, r, tokens), &plan, None);
            let plans = plan.chunks_exact((3 * tokens - r) as usize);
            let groups: Vec<u32> =
                plans.flat_map(|plan| plan[(2 * tokens - r) as usize..].to_vec()).collect();
            assert_eq!(first, groups, "{}", rig.id());
        }
    }
}

/// Source maps are data, and nothing checks at run time that they name tokens.
#[test]
fn a_map_that_names_no_token_gives_the_last_one() {
    for rig in rigs_for(&SPEC) {
        let gpu = Gpu::with_variant(rig.gpu.device(), rig.gpu.variant()).unwrap();
        // Three tokens, of which nothing merges.
        let plan = rig.data(&[0, 1, 2, u32::MAX, u32::MAX, u32::MAX, 0, 1, 2]);
        let (source, source_out) = (rig.data(&[1, 3, u32::MAX, 0]), rig.unwritten(4));
        let io = Io::new(&plan, &source_out).source(&source);
        rig.run(&[merge_source(&gpu, Params::new(1, 3, 0, 4), io).unwrap()]);
        same(rig.id(), &rig.read::<u32>(&source_out, 4), &[1, 2, 2, 0]);
    }
}

#[test]
fn more_tokens_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        let plan = random_plan(&mut Random(1), 25_000, 197, 1, 1, 50);
        check(rig, Params::new(25_000, 197, 1, 197), &plan, None);
    }
}
