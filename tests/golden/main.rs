//! Whole networks against PyTorch, stage by stage: the cases beside this file (README.md says how they were made), and
//! those in the folder that `TOME_GOLDEN_DIR` names.

#[path = "../common/mod.rs"]
mod common;

mod case;
mod clutter;
mod compare;
mod digits;
mod naflex;

use case::{Case, cases};
use common::{Rig, Tol, close, rigs, set};
use compare::{Numbers, Stages, compare, compare_ends, near};
use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::matmul::Activation;
use tome_wgpu::kernels::merge_tokens::MergeMode;
use tome_wgpu::vit::{
    Config, Metric, Mlp, Options, Pool, PoolBy, Protect, Stage, Values, VisionTransformer, Weights,
};
use tome_wgpu::{Element, Error, Matching, Partition, Result, Schedule, Tile, cpu};

/// An engine runs a network and says what it computed on the way.
type Engine = dyn Fn(&Config, &Weights, &[f32], &Options) -> Result<Stages>;

/// Largest difference to the largest value of a stage. Both sides sum in f32; PyTorch itself is up to 4e-7 away from
/// its own result in f64.
const CPU_TOLERANCE: f64 = 1e-5;

fn on_cpu(config: &Config, weights: &Weights, images: &[f32], options: &Options) -> Result<Stages> {
    let vit = cpu::VisionTransformer::new(config.clone(), weights)?;
    let mut stages = Stages::new();
    // Images come one after the other, as they lie in a batch.
    let outputs =
        vit.forward_traced(images, options, &mut |name, value| match (stages.get_mut(name), value) {
            (Some(Numbers::F32(all)), Values::F32(more)) => all.extend(more),
            (Some(Numbers::U32(all)), Values::U32(more)) => all.extend(more),
            (_, Values::F32(first)) => _ = stages.insert(name.into(), Numbers::F32(first.to_vec())),
            (_, Values::U32(first)) => _ = stages.insert(name.into(), Numbers::U32(first.to_vec())),
        })?;
    assert_eq!(outputs, vit.forward(images, options)?, "tracing changes the result");
    stages.insert("dense".into(), Numbers::F32(vit.dense(&outputs)));
    stages.insert("source".into(), Numbers::U32(outputs.source));
    stages.insert("source_per_block".into(), Numbers::U32(outputs.source_per_block));
    Ok(stages)
}

/// The same on a GPU. Its exp, division and square root may round otherwise than the CPU's.
const GPU_TOLERANCE: f64 = 3e-5;

fn on_gpu(
    rig: &Rig,
    config: &Config,
    weights: &Weights,
    images: &[f32],
    options: &Options,
) -> Result<Stages> {
    let vit = VisionTransformer::new(&rig.gpu, config.clone(), weights)?;
    let plan = vit.plan((images.len() / config.image_values()) as u32, options)?;
    rig.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(images));
    let mut stages = Stages::new();
    for step in plan.steps() {
        // A stage lasts until a later step overwrites it, so it is read at once.
        rig.run(std::slice::from_ref(&step.dispatch));
        for Stage { name, buffer, elements, indices, .. } in &step.stages {
            let elements = *elements as u32;
            let numbers = match indices {
                true => Numbers::U32(rig.read(buffer, elements)),
                false => Numbers::F32(rig.read(buffer, elements)),
            };
            stages.insert(name.clone(), numbers);
        }
    }
    let logits = plan.batch() * config.outputs();
    stages.insert("logits".into(), Numbers::F32(rig.read(plan.logits(), logits)));
    let sources = plan.batch() * config.tokens();
    stages.insert("source".into(), Numbers::U32(rig.read(plan.source(), sources)));
    let maps: Vec<Vec<u32>> = plan.source_per_block().iter().map(|map| rig.read(map, sources)).collect();
    let by_image = (0..plan.batch() as usize).flat_map(|image| {
        let tokens = config.tokens() as usize;
        maps.iter().flat_map(move |map| &map[image * tokens..][..tokens])
    });
    stages.insert("source_per_block".into(), Numbers::U32(by_image.copied().collect()));
    let dense = plan.dense()?;
    let mut encoder = rig.gpu.device().create_command_encoder(&Default::default());
    dense.encode(&mut encoder);
    rig.queue.submit([encoder.finish()]);
    let patches = plan.batch() * config.patches() * config.embed_dim;
    stages.insert("dense".into(), Numbers::F32(rig.read(dense.features(), patches)));
    Ok(stages)
}

/// Every case agrees with PyTorch; `others`: whether the engine takes matchings other than the bipartite one.
fn check_all(engine: &Engine, tolerance: f64, others: bool) {
    let all = cases();
    assert!(all.len() >= 177, "only {} cases found", all.len());
    let cases: Vec<Case> = all.into_iter().step_by(every()).collect();
    let failures: Vec<String> =
        cases.iter().filter_map(|case| check(case, engine, tolerance, others).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// `TOME_GOLDEN_EVERY=3` runs each third case: where a driver is slow and all have run on another.
fn every() -> usize {
    std::env::var("TOME_GOLDEN_EVERY")
        .map_or(1, |every| every.parse().expect("TOME_GOLDEN_EVERY is a number"))
}

fn check(case: &Case, engine: &Engine, tolerance: f64, others: bool) -> Result<(), String> {
    let in_case = |what: String| format!("{}: {what}", case.name);
    let (config, weights) = &case.network;
    let tokens = case.options.tokens_per_block(config);
    if tokens != case.tokens {
        return Err(in_case(format!("tokens {tokens:?} instead of {:?}", case.tokens)));
    }
    let got = match engine(config, weights, &case.images, &case.options) {
        // What is there to be compared with runs on the CPU path only, and says so.
        Err(Error::Unsupported { field, .. }) if !others && field == "matching" => return Ok(()),
        Ok(_) if !others && case.options.matching != Matching::Bipartite => {
            return Err(in_case("another matching is not refused".into()));
        }
        got => got.map_err(|e| in_case(e.to_string()))?,
    };
    compare(case, &got, tolerance).map_err(in_case)?;
    // What the library's own class gives, which knows no merging.
    let Some(want) = case.expected.get("library") else { return Ok(()) };
    let plain = set!(case.options.clone(); schedule: Schedule::NONE);
    match engine(config, weights, &case.images, &plain).map_err(|e| in_case(e.to_string()))?.get("logits") {
        Some(Numbers::F32(logits)) => near("library", logits, want, tolerance).map_err(in_case),
        _ => Err(in_case("logits: missing".into())),
    }
}

#[test]
fn networks_on_the_cpu_agree_with_pytorch() {
    check_all(&on_cpu, CPU_TOLERANCE, true);
}

#[test]
fn networks_on_a_gpu_agree_with_pytorch() {
    for rig in rigs().iter().filter(|rig| rig.gpu.variant().element == Element::F32) {
        let engine = |config: &Config, weights: &Weights, images: &[f32], options: &Options| {
            on_gpu(rig, config, weights, images, options)
        };
        check_all(&engine, GPU_TOLERANCE, false);
    }
}

/// 16-bit weights and activations: each value is rounded to 11 binary digits (4.9e-4) a few times in each block.
const HALF_TOLERANCE: f64 = 2e-2;

/// In 16 bits a close decision may rightly fall otherwise, so that only the logits are compared, and only of cases
/// whose decisions are further apart than the rounding of the metric; those, however, to the last token.
fn check_halves(rig: &Rig) {
    const CLEAR: f64 = 4e-3;
    let clear: Vec<Case> = cases()
        .into_iter()
        .step_by(every())
        .filter(|case| case.gap.is_none_or(|gap| gap > CLEAR) && case.options.matching == Matching::Bipartite)
        .collect();
    assert!(clear.len() >= 8, "only {} cases with clear decisions", clear.len());
    for case in &clear {
        let (config, weights) = &case.network;
        let got = on_gpu(rig, config, weights, &case.images, &case.options).unwrap();
        let result = compare_ends(case, &got, HALF_TOLERANCE);
        assert!(result.is_ok(), "{} {}: {result:?}", rig.id(), case.name);
    }
}

fn by_matrices(rig: &Rig) -> bool {
    matches!(rig.gpu.variant().tile, Tile::Cooperative { .. })
}

#[test]
fn networks_in_16_bits_stay_close() {
    let halves = rigs().iter().filter(|rig| rig.gpu.variant().element == Element::F16);
    halves.filter(|rig| !by_matrices(rig)).for_each(check_halves);
}

/// In tiles of every size.
#[test]
fn networks_by_matrix_units_stay_close() {
    rigs().iter().filter(|rig| by_matrices(rig)).for_each(check_halves);
}

/// Network and images of a case.
fn network(name: &str) -> (Config, Weights, Vec<f32>) {
    let case = cases().into_iter().find(|case| case.name == name).expect("the case");
    let (config, weights) = case.network;
    (config, weights, case.images)
}

/// What PyTorch cannot draw: random sources, by which both engines must go alike. Every block and every image has others.
#[test]
fn random_sources_are_the_same_on_the_cpu_and_on_a_gpu() {
    for (name, r) in [("cls", 5), ("avg_size", 6), ("reg4", 7)] {
        let (config, weights, images) = network(name);
        let partition = Partition::Random { seed: 11 };
        let options = set!(Options::with_schedule(Schedule::constant(r)); partition);
        let want = on_cpu(&config, &weights, &images, &options).expect("results");
        let split = |stages: &Stages, block: usize| match stages.get(&format!("layer{block:02}.split")) {
            Some(Numbers::U32(split)) => split.clone(),
            _ => panic!("{name}: nothing drawn"),
        };
        let first = split(&want, 0);
        let tokens = config.tokens() as usize;
        assert_ne!(first[..tokens], first[tokens..2 * tokens], "{name}: two images alike");
        for rig in rigs().iter().filter(|rig| rig.gpu.variant().element == Element::F32) {
            let got = on_gpu(rig, &config, &weights, &images, &options).expect("results");
            assert_eq!(split(&got, 0), first, "{name} {}", rig.id());
            let source = |stages: &Stages| match &stages["source"] {
                Numbers::U32(source) => source.clone(),
                Numbers::F32(_) => panic!("no indices"),
            };
            assert_eq!(source(&got), source(&want), "{name} {}", rig.id());
            let logits = |stages: &Stages| match &stages["logits"] {
                Numbers::F32(logits) => logits.clone(),
                Numbers::U32(_) => panic!("no logits"),
            };
            let tol = Tol { abs: GPU_TOLERANCE as f32, rel: GPU_TOLERANCE as f32 };
            close(format!("{name} {}", rig.id()), &logits(&got), &logits(&want), tol);
        }
    }
}

/// An image has as many tokens as it needs, whatever it comes with, and its results are its own.
#[test]
fn a_threshold_leaves_each_image_its_own_tokens() {
    let case = cases().into_iter().find(|case| case.name == "threshold_least").expect("the case");
    let (config, weights) = &case.network;
    let values = |stages: &Stages, name: &str| match &stages[name] {
        Numbers::F32(values) => values.clone(),
        Numbers::U32(values) => values.iter().map(|&v| v as f32).collect(),
    };
    for rig in rigs().iter().filter(|rig| rig.gpu.variant().element == Element::F32) {
        let all = on_gpu(rig, config, weights, &case.images, &case.options).expect("results");
        for (i, image) in case.images.chunks_exact(config.image_values()).enumerate() {
            let one = on_gpu(rig, config, weights, image, &case.options).expect("results");
            for name in ["logits", "source", "layer02.size"] {
                let (one, all) = (values(&one, name), values(&all, name));
                let tol = Tol { abs: GPU_TOLERANCE as f32, rel: GPU_TOLERANCE as f32 };
                close(format!("{} {name} {i}", rig.id()), &one, &all[i * one.len()..][..one.len()], tol);
            }
        }
    }
}

#[test]
fn partitions_that_no_network_can_have_are_refused() {
    let (config, weights, images) = network("avg_size");
    let grid = Partition::Grid { rows: 5, columns: 5, stride: [2, 2], seed: None };
    let energy = |margin| Partition::Energy { margin };
    for (partition, similarity, unsupported) in [
        (grid, Similarity::Cosine, true),
        (Partition::EveryKth(1), Similarity::Cosine, false),
        (Partition::EveryKth(0), Similarity::Cosine, false),
        (energy(Some(f32::NAN)), Similarity::Cosine, false),
        (energy(None), Similarity::Dot, false),
        (energy(Some(0.5)), Similarity::Euclidean, false),
    ] {
        let options = set!(Options::with_schedule(Schedule::constant(3)); partition, similarity);
        let refused = |result: Result<Stages>| match result {
            Err(Error::Unsupported { field, .. }) => unsupported && field == "partition",
            Err(Error::Input(_)) => !unsupported,
            _ => false,
        };
        assert!(refused(on_cpu(&config, &weights, &images, &options)), "{partition}");
        for rig in rigs() {
            assert!(refused(on_gpu(rig, &config, &weights, &images, &options)), "{partition}");
        }
    }
}

/// The stage at which the comparison notices a network that is not quite the one of the case.
fn noticed(name: &str, mistake: impl FnOnce(&mut Config, &mut Weights, &mut Options)) -> String {
    let case = cases().into_iter().find(|case| case.name == name).expect("the case");
    let (mut config, mut weights) = case.network.clone();
    let mut options = case.options.clone();
    mistake(&mut config, &mut weights, &mut options);
    let got = on_cpu(&config, &weights, &case.images, &options).expect("it still runs");
    let difference = compare(&case, &got, CPU_TOLERANCE).expect_err("the mistake goes unnoticed");
    difference.split(':').next().unwrap_or_default().into()
}

#[test]
fn mistakes_are_noticed_where_they_are_made() {
    assert_eq!(noticed("norm_eps_1e-5", |config, _, _| config.norm_eps = 1e-6), "layer00.attn");
    assert_eq!(noticed("cls", |config, _, _| config.norm_eps = 1e-5), "layer00.attn");
    assert_eq!(noticed("cls", |config, _, _| config.activation = Activation::GeluTanh), "layer00.tokens");
    assert_eq!(noticed("cls", |_, _, options| options.schedule = Schedule::constant(5)), "layer00.merged");
    assert_eq!(noticed("cls", |_, _, options| options.schedule = Schedule::constant(3)), "layer00.merged");
    assert_eq!(noticed("r0", |_, _, options| options.schedule = Schedule::constant(1)), "layer00.src");
    assert_eq!(noticed("cls", |_, _, options| options.prop_attn = false), "layer01.attn");
    assert_eq!(noticed("cls_noprop", |_, _, options| options.prop_attn = true), "layer01.attn");
    assert_eq!(noticed("avg_size", |_, _, options| options.pool_by = PoolBy::Plain), "features");
    assert_eq!(noticed("avg_plain", |_, _, options| options.pool_by = PoolBy::Size), "features");
    assert_eq!(noticed("map_plain", |_, _, options| options.pool_by = PoolBy::Size), "features");
    assert_eq!(noticed("map_size", |_, _, options| options.pool_by = PoolBy::Plain), "features");
    assert_eq!(noticed("glu_gate_last", |config, _, _| config.mlp = Mlp::GateFirst), "layer00.tokens");
    assert_eq!(noticed("swiglu_packed", |config, _, _| config.mlp = Mlp::GateLast), "layer00.tokens");
    assert_eq!(noticed("threshold_least", |_, _, options| options.threshold = Some(0.3)), "layer00.kept");
    assert_eq!(
        noticed("threshold_least", |_, _, options| options.least = Schedule::constant(1)),
        "layer00.kept"
    );
    assert_eq!(noticed("lines", |_, _, options| options.partition = Partition::Alternating), "layer00.src");
    let among_all = |case| noticed(case, |_, _, options| options.partition = Partition::Alternating);
    assert_eq!(among_all("hf_videomae_frames"), "layer00.kept");
    assert_eq!(among_all("hf_vivit_frames"), "layer00.kept");
    assert_eq!(noticed("reg4", |_, _, options| options.protect = Protect::Class), "layer00.merged");
    assert_eq!(noticed("mode_max_input", |_, _, options| options.merge = MergeMode::Min), "layer00.merged");
    assert_eq!(
        noticed("mode_mean_queries", |_, _, options| options.merge = MergeMode::WeightedMean),
        "layer01.merged"
    );
    assert_eq!(noticed("mode_mean_queries", |_, _, options| options.metric = Metric::Keys), "layer00.metric");
    assert_eq!(
        noticed("sequential", |_, _, options| options.partition = Partition::EveryKth(2)),
        "layer00.src"
    );
    assert_eq!(
        noticed("every_3_reg4_clamp", |_, _, options| options.similarity = Similarity::Euclidean),
        "layer00.src"
    );
    let margin = |margin| noticed("energy", |_, _, options| options.partition = Partition::Energy { margin });
    assert_eq!(margin(Some(0.8)), "layer00.energy");
    // The second block's.
    assert_eq!(margin(Some(0.9)), "layer01.energy");
    assert_eq!(
        noticed("mode_mlerp", |_, _, options| options.merge = MergeMode::WeightedMean),
        "layer00.merged"
    );
    assert_eq!(
        noticed("mode_max_magnitude_nocls", |_, _, options| options.merge = MergeMode::Max),
        "layer00.merged"
    );
    let ignored_scales = noticed("layerscale", |config, weights, _| {
        config.layer_scale = false;
        *weights = renamed(weights, |name| (!name.ends_with(".gamma")).then(|| name.into()));
    });
    assert_eq!(ignored_scales, "layer00.attn");
    let ignored_norms = noticed("qk_norm", |config, weights, _| {
        config.qk_norm = false;
        *weights = renamed(weights, |name| {
            (!name.contains("k_norm") && !name.contains("q_norm")).then(|| name.into())
        });
    });
    assert_eq!(ignored_norms, "layer00.attn");
    let one_head = noticed("distilled", |config, weights, _| {
        config.pool = Pool::Token;
        *weights = renamed(weights, |name| (!name.starts_with("head_dist")).then(|| name.into()));
    });
    assert_eq!(one_head, "logits");
    let norm_before_pooling = noticed("avg_size", |config, weights, _| {
        config.fc_norm = false;
        *weights = renamed(weights, |name| Some(name.replace("fc_norm", "norm")));
    });
    assert_eq!(norm_before_pooling, "features");
}

fn renamed(weights: &Weights, name: impl Fn(&str) -> Option<String>) -> Weights {
    let mut all = Weights::new();
    for (old, tensor) in weights.iter() {
        if let Some(new) = name(old) {
            all.insert(new, tensor.clone());
        }
    }
    all
}
