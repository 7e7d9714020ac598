//! What an engine computed against what PyTorch computed, in the order of the network.

use std::collections::{BTreeMap, BTreeSet};

use tome_wgpu::cpu;
use tome_wgpu::kernels::find_matches::Similarity;

use crate::case::Case;

/// Stages by the names of `cpu::Trace` and `vit::Stage`, for the whole batch, and `source`, `source_per_block` and
/// `dense`. An engine may leave out any stage but these three and `logits`, and `best` and `rank` where it merges.
pub type Stages = BTreeMap<String, Numbers>;

pub enum Numbers {
    F32(Vec<f32>),
    U32(Vec<u32>),
}

/// Decisions that are closer than this may rightly differ.
const DECISIVE: f64 = 1e-5;

/// Says which stage differs first, `STAGE: how`. Sizes of errors are those of the largest difference to the largest
/// expected value.
pub fn compare(case: &Case, got: &Stages, tolerance: f64) -> Result<(), String> {
    if std::env::var("TOME_SHOW_ERRORS").is_ok() {
        eprintln!("# {}", case.name);
    }
    assert!(case.gap.is_none_or(|gap| gap > DECISIVE), "{}: decisions are too close to compare", case.name);
    values(case, got, "embed", tolerance)?;
    for block in 0..case.tokens.len() - 1 {
        let stage = |name: &str| format!("layer{block:02}.{name}");
        values(case, got, &stage("attn"), tolerance)?;
        metric(case, got, &stage("metric"), tolerance)?;
        energies(case, got, block, tolerance)?;
        matches(case, got, block)?;
        for name in ["merged", "size", "tokens"] {
            values(case, got, &stage(name), tolerance)?;
        }
    }
    compare_ends(case, got, tolerance)
}

/// [`compare`] for the results alone.
pub fn compare_ends(case: &Case, got: &Stages, tolerance: f64) -> Result<(), String> {
    let source: Vec<f64> = indices(got, "source")?.iter().map(|&v| v.into()).collect();
    if case.expected.get("source").is_some_and(|want| *want != source) {
        return Err("source: differs".into());
    }
    unmerged(case, got, tolerance)?;
    values(case, got, "features", tolerance)?;
    let Some(Numbers::F32(logits)) = got.get("logits") else { return Err("logits: missing".into()) };
    near("logits", logits, &case.expected["logits_f64"], tolerance)
}

fn values(case: &Case, got: &Stages, stage: &str, tolerance: f64) -> Result<(), String> {
    match (got.get(stage), case.expected.get(stage)) {
        (Some(Numbers::F32(got)), Some(want)) => near(stage, got, want, tolerance),
        _ => Ok(()),
    }
}

/// No value is further away than the tolerance times the largest.
pub fn near(stage: &str, got: &[f32], want: &[f64], tolerance: f64) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{stage}: {} values instead of {}", got.len(), want.len()));
    }
    let largest = want.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let apart = |(&got, &want): (&f32, &f64)| (f64::from(got) - want).abs() / largest;
    let wrong = got.iter().zip(want).filter(|&pair| apart(pair) > tolerance || apart(pair).is_nan()).count();
    let worst = got.iter().zip(want).map(apart).fold(0.0, f64::max);
    if std::env::var("TOME_SHOW_ERRORS").is_ok() {
        eprintln!("{stage}: {worst:.1e}");
    }
    match wrong {
        0 => Ok(()),
        _ => Err(format!(
            "{stage}: {wrong} of {} values wrong by up to {worst:.1e} of {largest:.3}",
            got.len()
        )),
    }
}

/// The engine's metric is of unit length where cosines are asked for, PyTorch's is not.
fn metric(case: &Case, got: &Stages, stage: &str, tolerance: f64) -> Result<(), String> {
    let (Some(Numbers::F32(got)), Some(want)) = (got.get(stage), case.expected.get(stage)) else {
        return Ok(());
    };
    let (config, _) = &case.network;
    if case.options.similarity != Similarity::Cosine {
        return near(stage, got, want, tolerance);
    }
    let unit = |row: &[f64]| {
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter().map(|v| v / length).collect::<Vec<f64>>()
    };
    let want: Vec<f64> =
        want.chunks_exact(case.options.metric.width(config) as usize).flat_map(unit).collect();
    near(stage, got, &want, tolerance)
}

/// Where they decide: the energies of the unprotected tokens, and the lists that follow.
fn energies(case: &Case, got: &Stages, block: usize, tolerance: f64) -> Result<(), String> {
    let stage = |name: &str| format!("layer{block:02}.{name}");
    let Some(want) = case.expected.get(&stage("energy")) else { return Ok(()) };
    if let Some(Numbers::F32(got)) = got.get(&stage("energy")) {
        let protect = case.options.protected(&case.network.0) as usize;
        let images = got.chunks_exact(case.tokens[block] as usize);
        let free: Vec<f32> = images.flat_map(|image| &image[protect..]).copied().collect();
        near(&stage("energy"), &free, want, tolerance)?;
    }
    let lists = case.expected[&stage("split")].iter().map(|&token| token as u32);
    match got.get(&stage("split")) {
        Some(Numbers::U32(got)) if !lists.eq(got.iter().copied()) => {
            Err(format!("{}: differs", stage("split")))
        }
        _ => Ok(()),
    }
}

/// Who merged into whom, and in which order the others stay.
fn matches(case: &Case, got: &Stages, block: usize) -> Result<(), String> {
    let n = case.tokens[block] as usize;
    let r = n - case.tokens[block + 1] as usize;
    let stage = |name: &str| format!("layer{block:02}.{name}");
    let expected = |name: &str| case.expected.get(&stage(name)).map_or(&[][..], Vec::as_slice);
    let (src, dst, unm) = (expected("src"), expected("dst"), expected("unm"));
    if r == 0 {
        return match got.contains_key(&stage("plan")) {
            true => Err(format!("{}: something merged", stage("src"))),
            false => Ok(()),
        };
    }
    if case.expected.contains_key(&stage("kept")) {
        let plan = indices(got, &stage("plan")).map_err(|_| format!("{}: nothing merged", stage("kept")))?;
        return planned(plan, n, [expected("kept"), expected("target")])
            .map_err(|name| format!("{}: differs", stage(name)));
    }
    let missing = |_| format!("{}: nothing merged", stage("src"));
    let rank = indices(got, &stage("rank")).map_err(missing)?;
    let best = indices(got, &stage("best")).map_err(missing)?;
    let (config, _) = &case.network;
    let protect = case.options.protected(config);
    let srcs = split(case, 0, block).0.len();
    if rank.len() * r != src.len() * srcs || best.len() != rank.len() {
        return Err(format!("{}: {} sources for {} of {r} a time", stage("src"), rank.len(), src.len()));
    }
    for (item, (rank, best)) in rank.chunks_exact(srcs).zip(best.chunks_exact(srcs)).enumerate() {
        let merged = (0..srcs).filter(|&i| (rank[i] as usize) < r);
        let pairs: BTreeSet<[u64; 2]> = merged.map(|i| [i as u64, best[i].into()]).collect();
        let of = |values: &[f64]| values[item * r..][..r].iter().map(|&v| v as u64).collect::<Vec<_>>();
        let want: BTreeSet<[u64; 2]> =
            of(src).into_iter().zip(of(dst)).map(|(src, dst)| [src, dst]).collect();
        if pairs != want {
            return Err(format!("{}: image {item} merged {pairs:?} instead of {want:?}", stage("src")));
        }
        let mut kept: Vec<usize> = (0..srcs).filter(|&i| (rank[i] as usize) >= r).collect();
        if protect == 0 {
            kept.sort_by_key(|&i| rank[i]);
        }
        let want: Vec<usize> = unm[item * (srcs - r)..][..srcs - r].iter().map(|&v| v as usize).collect();
        if kept != want {
            return Err(format!("{}: image {item} kept {kept:?} instead of {want:?}", stage("unm")));
        }
    }
    Ok(())
}

/// Which token stays in place of each output token, and where each input token goes.
fn planned(plan: &[u32], n: usize, [kept, target]: [&[f64]; 2]) -> Result<(), &'static str> {
    let m = kept.len() * n / target.len();
    for (item, plan) in plan.chunks_exact(m + 2 * n).enumerate() {
        let is = |list: &[u32], want: &[f64]| list.iter().zip(want).all(|(&a, &b)| f64::from(a) == b);
        if !is(&plan[..m], &kept[item * m..]) {
            return Err("kept");
        }
        if !is(&plan[m + n..], &target[item * n..]) {
            return Err("target");
        }
    }
    Ok(())
}

/// Where every token is after each block, and what that makes of the last block's tokens.
fn unmerged(case: &Case, got: &Stages, tolerance: f64) -> Result<(), String> {
    let (config, _) = &case.network;
    let (blocks, sources) = (case.tokens.len() - 1, config.tokens() as usize);
    let last = &case.expected[&format!("layer{:02}.tokens", blocks - 1)];
    let tokens = case.tokens[blocks] as usize;
    let channels = config.embed_dim as usize;
    let (mut maps, mut dense) = (Vec::new(), Vec::new());
    for image in 0..case.images.len() / config.image_values() {
        let mut map: Vec<usize> = (0..sources).collect();
        for block in 0..blocks {
            let places = places(case, image, block);
            map.iter_mut().for_each(|token| *token = places[*token]);
            maps.extend(map.iter().map(|&token| token as u32));
        }
        for holder in &map[config.prefix() as usize..] {
            dense.extend_from_slice(&last[(image * tokens + holder) * channels..][..channels]);
        }
    }
    if indices(got, "source_per_block")? != maps {
        return Err("source_per_block: differs".into());
    }
    let Some(Numbers::F32(got)) = got.get("dense") else { return Err("dense: missing".into()) };
    near("dense", got, &dense, tolerance)
}

/// Sources and destinations of a block of an image that merges tokens.
fn split(case: &Case, image: usize, block: usize) -> (Vec<usize>, Vec<usize>) {
    let (n, r) = (case.tokens[block], case.tokens[block] - case.tokens[block + 1]);
    let protected = case.options.protected(&case.network.0);
    let Some(list) = case.options.partition.split(1, n, protected, r) else {
        return ((0..n as usize).step_by(2).collect(), (1..n as usize).step_by(2).collect());
    };
    let mut tokens = vec![0; n as usize];
    match case.expected.get(&format!("layer{block:02}.split")) {
        Some(lists) => {
            let own = lists[image * n as usize..].iter();
            tokens.iter_mut().zip(own).for_each(|(token, &own)| *token = own as u32);
        }
        None => cpu::split_tokens(&list, None, &mut tokens),
    }
    let (sources, destinations) = tokens.split_at(list.srcs as usize);
    [sources, destinations].map(|tokens| tokens.iter().map(|&token| token as usize).collect()).into()
}

/// Where the tokens that enter a block are after it: protected tokens first, then the sources that stay, then the
/// destinations with those that merged into them.
fn places(case: &Case, image: usize, block: usize) -> Vec<usize> {
    let (n, left) = (case.tokens[block] as usize, case.tokens[block + 1] as usize);
    if n == left {
        return (0..n).collect();
    }
    if let Some(target) = case.expected.get(&format!("layer{block:02}.target")) {
        return target[image * n..][..n].iter().map(|&place| place as usize).collect();
    }
    let (sources, destinations) = split(case, image, block);
    let of_image = |name: &str, width: usize| {
        let all = &case.expected[&format!("layer{block:02}.{name}")];
        all[image * width..][..width].iter().map(|&v| v as usize).collect::<Vec<_>>()
    };
    let (src, dst, unm) =
        (of_image("src", n - left), of_image("dst", n - left), of_image("unm", sources.len() + left - n));
    let protected = case.options.protected(&case.network.0) as usize;
    let stay = unm.iter().map(|&i| sources[i]).chain(destinations.iter().copied());
    let stay = stay.filter(|&token| token >= protected);
    let mut places = vec![usize::MAX; n];
    (0..protected).chain(stay).enumerate().for_each(|(place, token)| places[token] = place);
    src.iter().zip(&dst).for_each(|(src, dst)| places[sources[*src]] = places[destinations[*dst]]);
    places
}

fn indices<'a>(got: &'a Stages, stage: &str) -> Result<&'a [u32], String> {
    match got.get(stage) {
        Some(Numbers::U32(values)) => Ok(values),
        _ => Err(format!("{stage}: missing")),
    }
}
