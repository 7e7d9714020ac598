//! One image's way through a network.

use std::mem::take;

use super::memory::{Memory, slot};
use super::product::Packed;
use super::{
    attention, choose_matches, embed_patches, find_matches, key_metric, layer_norm, match_frames,
    match_lines, matchings, matmul, merge_source, merge_tokens, norm_heads, pool, rank_matches, split_tokens,
    token_energy,
};
use crate::error::Result;
use crate::kernels;
use crate::matching::Matching;
use crate::vit::engine::{Added, Engine, Otherwise, Place, Query, Then};
use crate::vit::merges::BlockMerge;
use crate::vit::network::Walk;
use crate::vit::{Config, Linear, Norm, Options, Outputs, Parameters, Values};

/// A listener that is told of every stage of every image, by the names of [`Stage`](crate::vit::Stage).
pub type Trace<'a> = dyn FnMut(&str, Values<'_>) + 'a;

/// One image on its way: the engine that runs each kernel at once.
struct Runner<'a, 't> {
    image: &'a [f32],
    memory: Memory,
    trace: &'a mut Trace<'t>,
    block: Option<u32>,
}

/// Runs one image, which has a place among all, through a network.
pub(super) fn run(
    (config, options): (&Config, &Options),
    p: &Parameters<Vec<f32>>,
    merges: &[BlockMerge],
    (place, image): (usize, &[f32]),
    trace: &mut Trace<'_>,
) -> Result<Outputs> {
    let memory = Memory::new(config, options);
    let mut runner = Runner { image, memory, trace, block: None };
    let walk = Walk::new(&mut runner, p, (config, options), (1, place as u32));
    let ends = walk.network(merges)?;
    Ok(runner.memory.outputs(config, merges, ends))
}

/// What enters a block, of one image.
#[cfg(feature = "blocking")]
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    x: Vec<f32>,
    mask: Vec<f32>,
    size: Vec<f32>,
    position: Vec<f32>,
    source: Vec<u32>,
}

/// Runs one image from a block on, or from the beginning, and keeps what enters the blocks that `keep` says. Of the map
/// after every block only the last is right.
#[cfg(feature = "blocking")]
pub(super) fn run_from(
    (config, options): (&Config, &Options),
    p: &Parameters<Vec<f32>>,
    merges: &[BlockMerge],
    (image, start): (&[f32], Option<(usize, &Entrance)>),
    keep: &[bool],
) -> Result<(Outputs, Vec<Option<Entrance>>)> {
    let mut memory = Memory::new(config, options);
    if let Some((block, Entrance { x, mask, size, position, source })) = start {
        memory.floats[slot(Place::X(0))][..x.len()].copy_from_slice(x);
        memory.floats[slot(Place::Mask)][..mask.len()].copy_from_slice(mask);
        memory.floats[slot(Place::Size(0))][..size.len()].copy_from_slice(size);
        if merges[..block].iter().any(|merge| merge.r > 0) {
            memory.floats[slot(Place::Position(1))][..position.len()].copy_from_slice(position);
            memory.floats.push(size.clone());
            memory.indices.push(source.clone());
        }
    }
    let mut runner = Runner { image, memory, trace: &mut |_, _| {}, block: None };
    let mut walk = Walk::new(&mut runner, p, (config, options), (1, 0));
    let first = start.map_or(0, |(block, _)| block);
    match start {
        Some((block, _)) => walk.resume(block, merges),
        None => walk.begin(merges)?,
    }
    let mut kept = vec![None; keep.len()];
    for block in first..merges.len() {
        if keep.get(block) == Some(&true) {
            let (runner, [x, size, source], position) = walk.standing();
            let floats = |place, count| runner.memory.floats(place)[..count].to_vec();
            let size = runner.memory.floats(size).to_vec();
            kept[block] = Some(Entrance {
                x: floats(x, size.len() * config.embed_dim as usize),
                mask: floats(Place::Mask, size.len()),
                position: position.map_or_else(Vec::new, |at| floats(at, 2 * size.len())),
                size,
                source: runner.memory.indices(source).to_vec(),
            });
        }
        walk.block_of(block, merges[block])?;
    }
    let ends = walk.end()?;
    Ok((runner.memory.outputs(config, merges, ends), kept))
}

/// A norm's weight and bias, as far as it has them.
fn parts(norm: Option<&Norm<Vec<f32>>>) -> (Option<&[f32]>, Option<&[f32]>) {
    (norm.map(|norm| &norm.weight[..]), norm.and_then(|norm| norm.bias.as_deref()))
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

    fn first_sizes(&mut self, params: kernels::matmul::Params, there: &Linear<Vec<f32>>) -> Result<()> {
        let image = self.image;
        let w = Packed::new(&there.weight, [params.inner, params.columns].map(|v| v as usize));
        self.memory.write(Place::Size(0), |_, y| matmul::linear(&params, image, w, None, None, None, None, y))
    }

    fn layer_norm(
        &mut self,
        params: kernels::layer_norm::Params,
        x: Place,
        norm: Option<&Norm<Vec<f32>>>,
        added: Option<Added<'_, Vec<f32>>>,
        y: Place,
    ) -> Result<()> {
        let (weight, bias) = parts(norm);
        self.memory.write(y, |all, y| {
            let residual = added.map(|added| match added {
                Added::Row(rows) => &rows[..],
                Added::Place(place) => all.floats(place),
            });
            layer_norm(&params, all.floats(x), weight, bias, residual, y);
        })
    }

    /// Weights have been packed.
    fn matmul(
        &mut self,
        params: kernels::matmul::Params,
        x: Place,
        linear: &Linear<Vec<f32>>,
        Then { gate, residual, position }: Then,
        y: Place,
    ) -> Result<()> {
        let [inner, columns] = [params.inner, params.columns].map(|v| v as usize);
        let w = Packed::new(&linear.weight, [inner, columns]);
        self.memory.write(y, |all, y| {
            let [gate, residual] = [gate, residual].map(|place| place.map(|place| all.floats(place)));
            let turned = position.zip(linear.turns.as_deref()).map(|(at, turns)| (all.floats(at), turns));
            matmul::linear(&params, all.floats(x), w, linear.bias.as_deref(), gate, residual, turned, y);
        })
    }

    fn norm_heads(
        &mut self,
        params: kernels::norm_heads::Params,
        norm: Option<&Norm<Vec<f32>>>,
        turned: Option<(Place, &Vec<f32>)>,
        x: Place,
    ) -> Result<()> {
        let (weight, bias) = parts(norm);
        self.memory.write(x, |all, x| {
            let turned = turned.map(|(place, turns)| (all.floats(place), &turns[..]));
            norm_heads(&params, weight, bias, turned, x);
        })
    }

    fn attention(
        &mut self,
        params: kernels::attention::Params,
        q: Query<'_, Vec<f32>>,
        kv: Place,
        size: Option<Place>,
        biased: Option<(Place, &Vec<f32>)>,
        y: Place,
    ) -> Result<()> {
        self.memory.write(y, |all, y| {
            let biased = biased.map(|(place, bias)| (all.floats(place), &bias[..]));
            let kv = all.floats(kv);
            let q = match q {
                Query::Tokens => kv,
                Query::Learned(row) => row,
            };
            attention(&params, q, kv, kv, size.map(|place| all.floats(place)), biased, y);
        })
    }

    fn key_metric(
        &mut self,
        params: kernels::key_metric::Params,
        keys: Place,
        size: Option<Place>,
    ) -> Result<()> {
        self.memory.write(Place::Metric, |all, metric| {
            key_metric(&params, all.floats(keys), size.map(|place| all.floats(place)), metric);
        })
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

    fn choose_matches(&mut self, params: kernels::choose_matches::Params, size: Place) -> Result<()> {
        self.memory.write_indices(Place::Plan, |all, plan| {
            let mut rank = take(&mut all.indices[slot(Place::Rank)]);
            let mut mask = take(&mut all.floats[slot(Place::Mask)]);
            let (score, best) = (all.floats(Place::Score), all.indices(Place::Best));
            choose_matches(&params, score, best, Some(all.floats(size)), &mut rank, plan, &mut mask);
            all.floats[slot(Place::Mask)] = mask;
            all.indices[slot(Place::Rank)] = rank;
        })
    }

    fn match_lines(&mut self, params: kernels::match_lines::Params) -> Result<()> {
        self.memory
            .write_indices(Place::Plan, |all, plan| match_lines(&params, all.floats(Place::Metric), plan))
    }

    fn match_frames(&mut self, params: kernels::match_frames::Params, size: Option<Place>) -> Result<()> {
        self.memory.write_indices(Place::Plan, |all, plan| {
            let size = size.map(|place| all.floats(place));
            match_frames(&params, all.floats(Place::Metric), size, plan);
        })
    }

    fn match_otherwise(&mut self, by: &Otherwise, bias: Option<&Vec<f32>>) -> Result<()> {
        let params = &by.params;
        let mut weight = vec![0.0; params.tokens as usize];
        match by.matching {
            Matching::PruneRandom { seed } => {
                matchings::random_weights(params, seed, by.first_image, &mut weight);
            }
            Matching::PruneAttention => {
                let (qkv, size) = (self.memory.floats(Place::Qkv), by.size.map(|at| self.memory.floats(at)));
                let bias = bias.map(|bias| &bias[..]);
                matchings::class_attention(&by.attention, qkv, qkv, size, bias, &mut weight);
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
        positions: Option<[Place; 2]>,
    ) -> Result<()> {
        let memory = &mut self.memory;
        let mut normed = take(&mut memory.floats[slot(Place::Normed)]);
        let mut size_out = vec![0.0; (params.tokens - params.r) as usize];
        let [before, after] = positions.map_or([None; 2], |places| places.map(Some));
        let mut position_out = after.map_or_else(Vec::new, |at| take(&mut memory.floats[slot(at)]));
        memory.write(x_out, |all, x_out| {
            let positions = before.map(|at| (all.floats(at), &mut position_out[..]));
            let (plan, x, size) = (all.indices(Place::Plan), all.floats(x), Some(all.floats(size)));
            merge_tokens(&params, plan, x, size, x_out, &mut size_out, Some(&mut normed), positions);
        })?;
        if let Some(at) = after {
            memory.floats[slot(at)] = position_out;
        }
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
