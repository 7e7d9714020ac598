//! One image's way through a network.

use std::mem::take;

use super::product::Packed;
use super::{
    attention, embed_patches, find_matches, key_metric, layer_norm, match_lines, matchings, matmul,
    merge_source, merge_tokens, norm_heads, pool, rank_matches, split_tokens, token_energy,
};
use crate::error::Result;
use crate::kernels;
use crate::matching::Matching;
use crate::vit::engine::{Ends, Engine, Otherwise, Place, Query, Then};
use crate::vit::network::Walk;
use crate::vit::{Config, Linear, Mlp, Norm, Options, Outputs, Parameters, Values};

/// A listener that is told of every stage of every image, by the names of [`Stage`](crate::vit::Stage).
pub type Trace<'a> = dyn FnMut(&str, Values<'_>) + 'a;

/// One image on its way: the engine that runs each kernel at once.
struct Runner<'a, 't> {
    image: &'a [f32],
    memory: Memory,
    trace: &'a mut Trace<'t>,
    block: Option<u32>,
}

/// The slices of one image, as long as the first block needs; merging leaves their ends unused.
struct Memory {
    /// By [`slot`]; those of sizes come last, one more for each merge.
    floats: Vec<Vec<f32>>,
    /// By [`slot`]; those of source maps come last, one more for each merge.
    indices: Vec<Vec<u32>>,
}

/// Floats before the sizes, and indices before the source maps.
const SIZES: usize = 12;
const SOURCES: usize = 4;

/// Where a place's values stand among all of their type.
fn slot(place: Place) -> usize {
    match place {
        Place::X(i) => i,
        Place::Normed | Place::Attended => 2,
        Place::Qkv | Place::Hidden => 3,
        Place::Gate => 4,
        Place::Metric => 5,
        Place::Score | Place::Energy => 6,
        Place::Pooled => 7,
        Place::Features(i) => 8 + i,
        Place::Logits(i) => 10 + i,
        Place::Size(merges) => SIZES + merges,
        Place::Split => 0,
        Place::Best => 1,
        Place::Rank => 2,
        Place::Plan => 3,
        Place::Source(merges) => SOURCES + merges,
    }
}

/// Runs one image, which has a place among all, through a network.
pub(super) fn run(
    (config, options): (&Config, &Options),
    p: &Parameters<Vec<f32>>,
    tokens: &[u32],
    (place, image): (usize, &[f32]),
    trace: &mut Trace<'_>,
) -> Result<Outputs> {
    let memory = Memory::new(config, options);
    let mut runner = Runner { image, memory, trace, block: None };
    let walk = Walk::new(&mut runner, p, (config, options), (1, place as u32));
    let ends = walk.network(tokens)?;
    Ok(runner.memory.outputs(config, tokens, ends))
}

/// What enters a block, of one image.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    x: Vec<f32>,
    size: Vec<f32>,
    source: Vec<u32>,
}

/// Runs one image from a block on, or from the beginning, and keeps what enters the blocks that `keep` says. Of the map
/// after every block only the last is right.
pub(super) fn run_from(
    (config, options): (&Config, &Options),
    p: &Parameters<Vec<f32>>,
    tokens: &[u32],
    (image, start): (&[f32], Option<(usize, &Entrance)>),
    keep: &[bool],
) -> Result<(Outputs, Vec<Option<Entrance>>)> {
    let mut memory = Memory::new(config, options);
    let merged = start.is_some_and(|(block, _)| tokens[block] != tokens[0]);
    if let Some((_, Entrance { x, size, source })) = start {
        memory.floats[slot(Place::X(0))][..x.len()].copy_from_slice(x);
        if merged {
            memory.floats.push(size.clone());
            memory.indices.push(source.clone());
        }
    }
    let mut runner = Runner { image, memory, trace: &mut |_, _| {}, block: None };
    let mut walk = Walk::new(&mut runner, p, (config, options), (1, 0));
    let first = start.map_or(0, |(block, _)| block);
    match start {
        Some((block, _)) => walk.resume(block, tokens),
        None => walk.begin(tokens)?,
    }
    let mut kept = vec![None; keep.len()];
    for block in first..config.depth as usize {
        if keep.get(block) == Some(&true) {
            let (runner, [x, size, source]) = walk.standing();
            let rows = (tokens[block] * config.embed_dim) as usize;
            kept[block] = Some(Entrance {
                x: runner.memory.floats(x)[..rows].to_vec(),
                size: runner.memory.floats(size).to_vec(),
                source: runner.memory.indices(source).to_vec(),
            });
        }
        walk.block_of(block, tokens)?;
    }
    let ends = walk.end()?;
    Ok((runner.memory.outputs(config, tokens, ends), kept))
}

impl Memory {
    fn new(config: &Config, options: &Options) -> Self {
        let n = config.tokens() as usize;
        let rows = |width: u32| vec![0.0; n * width as usize];
        let row = || vec![0.0; config.embed_dim as usize];
        let classes = || vec![0.0; config.num_classes as usize];
        let gate = if config.mlp == Mlp::Plain { 0 } else { config.mlp_hidden };
        Memory {
            floats: vec![
                rows(config.embed_dim),
                rows(config.embed_dim),
                rows(config.embed_dim),
                rows(config.widest()),
                rows(gate),
                rows(options.metric_width(config)),
                rows(1),
                row(),
                row(),
                row(),
                classes(),
                classes(),
                vec![1.0; n],
            ],
            indices: vec![vec![0; n], vec![0; n], vec![0; n], vec![0; 3 * n], (0..config.tokens()).collect()],
        }
    }

    /// What stands in its places when a network is through.
    fn outputs(self, config: &Config, tokens: &[u32], ends: Ends) -> Outputs {
        let Memory { mut floats, mut indices } = self;
        let merged = tokens.last().copied().unwrap_or_default() as usize;
        let mut merges = 0;
        let last = indices.len() - 1;
        let maps = tokens.windows(2).flat_map(|n| {
            merges += usize::from(n[1] < n[0]);
            indices[(SOURCES + merges).min(last)].iter().copied()
        });
        let source_per_block = maps.collect();
        let logits = floats[slot(ends.logits)].clone();
        let mut tokens = take(&mut floats[slot(ends.tokens)]);
        tokens.truncate(merged * config.embed_dim as usize);
        Outputs {
            batch: 1,
            merged,
            logits,
            features: take(&mut floats[slot(Place::Features(0))]),
            tokens,
            size: take(&mut floats[slot(ends.size)]),
            source: take(&mut indices[last]),
            dense: Vec::new(),
            source_per_block,
        }
    }

    fn floats(&self, place: Place) -> &[f32] {
        &self.floats[slot(place)]
    }

    fn indices(&self, place: Place) -> &[u32] {
        &self.indices[slot(place)]
    }

    fn list(&self, listed: bool) -> Option<&[u32]> {
        listed.then(|| self.indices(Place::Split))
    }

    /// Writes floats while the others are read.
    fn write(&mut self, place: Place, work: impl FnOnce(&Self, &mut [f32])) -> Result<()> {
        let mut y = take(&mut self.floats[slot(place)]);
        work(self, &mut y);
        self.floats[slot(place)] = y;
        Ok(())
    }

    /// Writes indices while the others are read.
    fn write_indices(&mut self, place: Place, work: impl FnOnce(&mut Self, &mut [u32])) -> Result<()> {
        let mut y = take(&mut self.indices[slot(place)]);
        work(self, &mut y);
        self.indices[slot(place)] = y;
        Ok(())
    }
}

impl Engine for Runner<'_, '_> {
    type Tensor = Vec<f32>;

    fn embed_patches(
        &mut self,
        params: kernels::embed_patches::Params,
        w: &Vec<f32>,
        base: &Vec<f32>,
        y: Place,
    ) -> Result<()> {
        let image = self.image;
        let w = Packed::new(w, [params.patch_values(), params.channels].map(|v| v as usize));
        self.memory.write(y, |_, y| embed_patches::embed(&params, image, w, base, None, y))
    }

    fn layer_norm(
        &mut self,
        params: kernels::layer_norm::Params,
        x: Place,
        norm: Option<&Norm<Vec<f32>>>,
        y: Place,
    ) -> Result<()> {
        let (weight, bias) = (norm.map(|norm| &norm.weight[..]), norm.map(|norm| &norm.bias[..]));
        self.memory.write(y, |all, y| layer_norm(&params, all.floats(x), weight, bias, y))
    }

    /// Weights have been packed.
    fn matmul(
        &mut self,
        params: kernels::matmul::Params,
        x: Place,
        linear: &Linear<Vec<f32>>,
        Then { gate, residual }: Then,
        y: Place,
    ) -> Result<()> {
        let [inner, columns] = [params.inner, params.columns].map(|v| v as usize);
        let w = Packed::new(&linear.weight, [inner, columns]);
        self.memory.write(y, |all, y| {
            let [gate, residual] = [gate, residual].map(|place| place.map(|place| all.floats(place)));
            matmul::linear(&params, all.floats(x), w, linear.bias.as_deref(), gate, residual, y);
        })
    }

    fn norm_heads(
        &mut self,
        params: kernels::norm_heads::Params,
        norm: &Norm<Vec<f32>>,
        x: Place,
    ) -> Result<()> {
        self.memory.write(x, |_, x| norm_heads(&params, &norm.weight, &norm.bias, x))
    }

    fn attention(
        &mut self,
        params: kernels::attention::Params,
        q: Query<'_, Vec<f32>>,
        kv: Place,
        size: Option<Place>,
        y: Place,
    ) -> Result<()> {
        self.memory.write(y, |all, y| {
            let kv = all.floats(kv);
            let q = match q {
                Query::Tokens => kv,
                Query::Learned(row) => row,
            };
            attention(&params, q, kv, kv, size.map(|place| all.floats(place)), y);
        })
    }

    fn key_metric(&mut self, params: kernels::key_metric::Params, keys: Place) -> Result<()> {
        self.memory.write(Place::Metric, |all, metric| key_metric(&params, all.floats(keys), None, metric))
    }

    fn token_energy(&mut self, params: kernels::token_energy::Params) -> Result<()> {
        self.memory
            .write(Place::Energy, |all, energy| token_energy(&params, all.floats(Place::Metric), energy))
    }

    fn split_tokens(&mut self, params: kernels::split_tokens::Params) -> Result<()> {
        self.memory.write_indices(Place::Split, |all, split| {
            split_tokens(&params, Some(all.floats(Place::Energy)), split);
        })
    }

    fn find_matches(
        &mut self,
        params: kernels::find_matches::Params,
        listed: bool,
        size: Option<Place>,
    ) -> Result<()> {
        self.memory.write_indices(Place::Best, |all, best| {
            let mut score = take(&mut all.floats[slot(Place::Score)]);
            let size = size.map(|place| all.floats(place));
            find_matches(&params, all.floats(Place::Metric), all.list(listed), size, &mut score, best);
            all.floats[slot(Place::Score)] = score;
        })
    }

    fn rank_matches(&mut self, params: kernels::rank_matches::Params, listed: bool) -> Result<()> {
        self.memory.write_indices(Place::Plan, |all, plan| {
            let mut rank = take(&mut all.indices[slot(Place::Rank)]);
            let (score, best) = (all.floats(Place::Score), all.indices(Place::Best));
            rank_matches(&params, score, best, all.list(listed), &mut rank, plan);
            all.indices[slot(Place::Rank)] = rank;
        })
    }

    fn match_lines(&mut self, params: kernels::match_lines::Params) -> Result<()> {
        self.memory
            .write_indices(Place::Plan, |all, plan| match_lines(&params, all.floats(Place::Metric), plan))
    }

    fn match_otherwise(&mut self, by: &Otherwise) -> Result<()> {
        let params = &by.params;
        let mut weight = vec![0.0; params.tokens as usize];
        match by.matching {
            Matching::PruneRandom { seed } => {
                matchings::random_weights(params, seed, by.first_image, &mut weight);
            }
            Matching::PruneAttention => {
                let (qkv, size) = (self.memory.floats(Place::Qkv), by.size.map(|at| self.memory.floats(at)));
                matchings::class_attention(&by.attention, qkv, qkv, size, &mut weight);
            }
            _ => {}
        }
        self.memory.write_indices(Place::Plan, |all, plan| {
            let metric = all.floats(Place::Metric);
            match by.matching {
                Matching::KMeans { iterations } => matchings::kmeans(params, iterations, metric, plan),
                Matching::PruneRandom { .. } | Matching::PruneAttention => {
                    matchings::prune(params, &weight, metric, plan);
                }
                Matching::Greedy | Matching::Bipartite => matchings::greedy(params, metric, plan),
            }
        })
    }

    /// The next of the sizes comes behind those that there are, as does the next of the maps.
    fn merge_tokens(
        &mut self,
        params: kernels::merge_tokens::Params,
        x: Place,
        size: Place,
        x_out: Place,
        _size_out: Place,
    ) -> Result<()> {
        let memory = &mut self.memory;
        let mut normed = take(&mut memory.floats[slot(Place::Normed)]);
        let mut size_out = vec![0.0; (params.tokens - params.r) as usize];
        memory.write(x_out, |all, x_out| {
            let (plan, x, size) = (all.indices(Place::Plan), all.floats(x), Some(all.floats(size)));
            merge_tokens(&params, plan, x, size, x_out, &mut size_out, Some(&mut normed));
        })?;
        memory.floats[slot(Place::Normed)] = normed;
        memory.floats.push(size_out);
        Ok(())
    }

    fn merge_source(
        &mut self,
        params: kernels::merge_source::Params,
        source: Place,
        _source_out: Place,
    ) -> Result<()> {
        let mut map = vec![0; params.sources as usize];
        let (plan, source) = (self.memory.indices(Place::Plan), self.memory.indices(source));
        merge_source(&params, plan, Some(source), &mut map);
        self.memory.indices.push(map);
        Ok(())
    }

    fn pool(&mut self, params: kernels::pool::Params, x: Place, size: Place, y: Place) -> Result<()> {
        self.memory.write(y, |all, y| pool(&params, all.floats(x), Some(all.floats(size)), y))
    }

    fn enter(&mut self, block: Option<u32>) {
        self.block = block;
    }

    fn stage(&mut self, name: &str, at: Place, elements: u64) {
        let elements = elements as usize;
        let name = self.block.map_or_else(|| name.into(), |block| format!("layer{block:02}.{name}"));
        match at.holds_indices() {
            true => (self.trace)(&name, Values::U32(&self.memory.indices(at)[..elements])),
            false => (self.trace)(&name, Values::F32(&self.memory.floats(at)[..elements])),
        }
    }
}
