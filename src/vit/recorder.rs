//! A plan in the making: the engine that prepares each kernel's call instead of running it.

use super::buffers::Buffers;
use super::engine::{Added, Engine, Otherwise, Place, Query, Then};
use super::images::Input;
use super::parameters::{Linear, Norm};
use super::step::{Stage, Step};
use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernels::{
    self, SplitMode, attention, choose_matches, embed_patches, find_matches, key_metric, layer_norm,
    match_frames, match_lines, matmul, merge_source, merge_tokens, norm_heads, pool, rank_matches,
    split_tokens, token_energy,
};
use crate::view::View;

/// Makes the calls of a network in order.
pub(super) struct Recorder<'a> {
    /// Its variant runs the blocks.
    gpu: Gpu,
    /// The same in 32-bit floats.
    in_f32: Gpu,
    buffers: &'a Buffers,
    input: Input,
    block: Option<u32>,
    steps: Vec<Step>,
}

impl<'a> Recorder<'a> {
    pub fn new(gpu: &Gpu, buffers: &'a Buffers, input: Input) -> Self {
        Recorder { in_f32: gpu.in_f32(), gpu: gpu.clone(), buffers, input, block: None, steps: Vec::new() }
    }

    pub fn finish(self) -> Vec<Step> {
        self.steps
    }

    fn push(&mut self, dispatch: Dispatch) -> Result<()> {
        self.steps.push(Step { dispatch, block: self.block, stages: Vec::new() });
        Ok(())
    }

    fn at(&self, place: Place) -> View<'a> {
        self.buffers.at(place).into()
    }

    fn split(&self, listed: bool) -> Option<View<'a>> {
        listed.then(|| self.at(Place::Split))
    }
}

impl Engine for Recorder<'_> {
    type Tensor = wgpu::Buffer;

    fn embed_patches(
        &mut self,
        params: embed_patches::Params,
        w: &wgpu::Buffer,
        base: &wgpu::Buffer,
        y: Place,
    ) -> Result<()> {
        let io = embed_patches::Io::new(&self.buffers.input, w, base, self.at(y));
        let normal = match self.input {
            // Textures become floats before the first kernel.
            Input::Floats | Input::Textures => None,
            Input::Pixels => Some((&self.buffers.normal).into()),
        };
        self.push(kernels::embed_patches(&self.gpu, params, embed_patches::Io { normal, ..io })?)
    }

    fn first_sizes(&mut self, params: matmul::Params, there: &Linear<wgpu::Buffer>) -> Result<()> {
        let io = matmul::Io::new(&self.buffers.input, &there.weight, self.at(Place::Size(0)));
        self.push(kernels::matmul(&self.in_f32, params, io)?)
    }

    fn layer_norm(
        &mut self,
        params: layer_norm::Params,
        x: Place,
        norm: Option<&Norm<wgpu::Buffer>>,
        added: Option<Added<'_, wgpu::Buffer>>,
        y: Place,
    ) -> Result<()> {
        let io = layer_norm::Io {
            weight: norm.map(|norm| (&norm.weight).into()),
            bias: norm.and_then(|norm| norm.bias.as_ref()).map(Into::into),
            residual: added.map(|added| match added {
                Added::Row(rows) => rows.into(),
                Added::Place(place) => self.at(place),
            }),
            ..layer_norm::Io::new(self.at(x), self.at(y))
        };
        // Whatever is not on its way into a linear layer is kept in 32 bits.
        let gpu = if y == Place::Normed { &self.gpu } else { &self.in_f32 };
        self.push(kernels::layer_norm(gpu, params, io)?)
    }

    fn matmul(
        &mut self,
        params: matmul::Params,
        x: Place,
        linear: &Linear<wgpu::Buffer>,
        Then { gate, residual, position }: Then,
        y: Place,
    ) -> Result<()> {
        let io = matmul::Io {
            bias: linear.bias.as_ref().map(Into::into),
            gate: gate.map(|place| self.at(place)),
            residual: residual.map(|place| self.at(place)),
            position: position.map(|place| self.at(place)),
            turn: position.and(linear.turns.as_ref()).map(Into::into),
            ..matmul::Io::new(self.at(x), &linear.weight, self.at(y))
        };
        self.push(kernels::matmul(&self.gpu, params, io)?)
    }

    fn norm_heads(
        &mut self,
        params: norm_heads::Params,
        norm: Option<&Norm<wgpu::Buffer>>,
        turned: Option<(Place, &wgpu::Buffer)>,
        x: Place,
    ) -> Result<()> {
        let io = norm_heads::Io {
            position: turned.map(|(place, _)| self.at(place)),
            turn: turned.map(|(_, turns)| turns.into()),
            weight: norm.map(|norm| (&norm.weight).into()),
            bias: norm.and_then(|norm| norm.bias.as_ref()).map(Into::into),
            ..norm_heads::Io::new(self.at(x))
        };
        self.push(kernels::norm_heads(&self.gpu, params, io)?)
    }

    fn attention(
        &mut self,
        params: attention::Params,
        q: Query<'_, wgpu::Buffer>,
        kv: Place,
        size: Option<Place>,
        biased: Option<(Place, &wgpu::Buffer)>,
        y: Place,
    ) -> Result<()> {
        let kv = self.at(kv);
        let q = match q {
            Query::Tokens => kv,
            Query::Learned(row) => row.into(),
        };
        let io = attention::Io {
            size: size.map(|place| self.at(place)),
            position: biased.map(|(place, _)| self.at(place)),
            bias: biased.map(|(_, bias)| bias.into()),
            ..attention::Io::new(q, kv, kv, self.at(y))
        };
        self.push(kernels::attention(&self.gpu, params, io)?)
    }

    fn key_metric(&mut self, params: key_metric::Params, keys: Place, size: Option<Place>) -> Result<()> {
        // Of the residual stream, which is kept in 32 bits, or of what is stored for a linear layer.
        let gpu = if matches!(keys, Place::X(_)) { &self.in_f32 } else { &self.gpu };
        let size = size.map(|place| self.at(place));
        let io = key_metric::Io { size, ..key_metric::Io::new(self.at(keys), self.at(Place::Metric)) };
        self.push(kernels::key_metric(gpu, params, io)?)
    }

    fn token_energy(&mut self, params: token_energy::Params) -> Result<()> {
        let io = token_energy::Io::new(self.at(Place::Metric), self.at(Place::Energy));
        self.push(kernels::token_energy(&self.gpu, params, io)?)
    }

    fn split_tokens(&mut self, params: split_tokens::Params) -> Result<()> {
        let energy = (params.mode == SplitMode::Energy).then(|| self.at(Place::Energy));
        let io = split_tokens::Io { energy, ..split_tokens::Io::new(self.at(Place::Split)) };
        self.push(kernels::split_tokens(&self.gpu, params, io)?)
    }

    fn find_matches(
        &mut self,
        params: find_matches::Params,
        listed: bool,
        size: Option<Place>,
    ) -> Result<()> {
        let [metric, score, best] = [Place::Metric, Place::Score, Place::Best].map(|place| self.at(place));
        let io = find_matches::Io {
            split: self.split(listed),
            size: size.map(|place| self.at(place)),
            ..find_matches::Io::new(metric, score, best)
        };
        self.push(kernels::find_matches(&self.gpu, params, io)?)
    }

    fn rank_matches(&mut self, params: rank_matches::Params, listed: bool) -> Result<()> {
        let [score, best, rank, plan] =
            [Place::Score, Place::Best, Place::Rank, Place::Plan].map(|place| self.at(place));
        let io = rank_matches::Io::new(score, best, rank, plan);
        let io = rank_matches::Io { split: self.split(listed), ..io };
        self.push(kernels::rank_matches(&self.gpu, params, io)?)
    }

    fn choose_matches(&mut self, params: choose_matches::Params, size: Place) -> Result<()> {
        let [score, best, rank, plan, mask] =
            [Place::Score, Place::Best, Place::Rank, Place::Plan, Place::Mask].map(|place| self.at(place));
        let io = choose_matches::Io::new(score, best, rank, plan, mask).size(self.at(size));
        self.push(kernels::choose_matches(&self.gpu, params, io)?)
    }

    fn match_lines(&mut self, params: match_lines::Params) -> Result<()> {
        let io = match_lines::Io::new(self.at(Place::Metric), self.at(Place::Plan));
        self.push(kernels::match_lines(&self.gpu, params, io)?)
    }

    fn match_frames(&mut self, params: match_frames::Params, size: Option<Place>) -> Result<()> {
        let size = size.map(|place| self.at(place));
        let io = match_frames::Io::new(self.at(Place::Metric), self.at(Place::Plan));
        self.push(kernels::match_frames(&self.gpu, params, match_frames::Io { size, ..io })?)
    }

    fn match_otherwise(&mut self, by: &Otherwise, _bias: Option<&wgpu::Buffer>) -> Result<()> {
        Err(Error::Unsupported {
            field: "matching".into(),
            value: by.matching.to_string(),
            why: "it is there to be compared with, on the CPU path only".into(),
        })
    }

    fn merge_tokens(
        &mut self,
        params: merge_tokens::Params,
        x: Place,
        size: Place,
        x_out: Place,
        size_out: Place,
        positions: Option<[Place; 2]>,
    ) -> Result<()> {
        let [position, position_out] =
            positions.map_or([None; 2], |places| places.map(|place| Some(self.at(place))));
        let io = merge_tokens::Io {
            size: Some(self.at(size)),
            position,
            position_out,
            normed: Some(self.at(Place::Normed)),
            ..merge_tokens::Io::new(self.at(Place::Plan), self.at(x), self.at(x_out), self.at(size_out))
        };
        self.push(kernels::merge_tokens(&self.gpu, params, io)?)
    }

    fn merge_source(&mut self, params: merge_source::Params, source: Place, source_out: Place) -> Result<()> {
        let io = merge_source::Io::new(self.at(Place::Plan), self.at(source_out)).source(self.at(source));
        self.push(kernels::merge_source(&self.gpu, params, io)?)
    }

    fn pool(&mut self, params: pool::Params, x: Place, size: Place, y: Place) -> Result<()> {
        let io = pool::Io::new(self.at(x), self.at(y)).size(self.at(size));
        self.push(kernels::pool(&self.gpu, params, io)?)
    }

    fn in_f32(&mut self) {
        self.gpu = self.in_f32.clone();
    }

    fn enter(&mut self, block: Option<u32>) {
        self.block = block;
    }

    fn stage(&mut self, name: &str, at: Place, elements: u64) {
        if let Some(step) = self.steps.last_mut() {
            let name = self.block.map_or_else(|| name.into(), |block| format!("layer{block:02}.{name}"));
            let (buffer, indices) = (self.buffers.at(at).clone(), at.holds_indices());
            step.stages.push(Stage { name, buffer, elements, indices });
        }
    }
}
