//! Token merging on slices, for people with a model of their own that is not on wgpu.

use crate::cpu::{self, MergeInput, Merged};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernels::{self, unmerge};
use crate::merge_io::MergeIo;
use crate::merger::{MergeShape, TokenMerger};
use crate::run::{Answer, read};
use crate::session::device::{DeviceChoice, DeviceReport, candidates, open};
use crate::session::worker::poll;
use crate::store::Store;
use crate::variant::Element;

/// Token merging on slices, on a GPU or on the CPU path: every call uploads, waits and reads. Any number of threads may
/// use it at once.
///
/// ```
/// # fn main() -> tome_wgpu::Result<()> {
/// use tome_wgpu::{DeviceChoice, MergeShape, SliceMerger, cpu::MergeInput};
/// let merger = SliceMerger::new(&DeviceChoice::Cpu)?;
/// // Two tokens of four are alike.
/// let x = [[1.0f32, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.9, 0.0, 0.0, 0.0]].concat();
/// let mut shape = MergeShape::fused(1, 4, 1, 4, 1);
/// (shape.key_stride, shape.key_start) = (4, 0);
/// let merged = merger.merge(&shape, MergeInput { keys: &x, x: &x, size: None, source: None })?;
/// assert_eq!(merged.size, [1.0, 1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SliceMerger {
    gpu: Option<(Gpu, wgpu::Queue)>,
    report: DeviceReport,
}

impl SliceMerger {
    /// Opens a device, in 32-bit floats.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where no adapter is what was asked for; those of the device.
    pub fn new(device: &DeviceChoice) -> Result<Self> {
        cpu::make_threads();
        let (adapters, mut why) = pollster::block_on(candidates(device))?;
        for adapter in &adapters {
            match pollster::block_on(open(adapter, Element::F32, &Store::user())) {
                Ok(gpu) => {
                    let report = DeviceReport::gpu(&adapter.get_info(), Element::F32, why);
                    return Ok(SliceMerger { gpu: Some(gpu), report });
                }
                // As for a session.
                Err(error) if *device == DeviceChoice::Auto => {
                    why = format!("{} cannot be used: {error}", adapter.get_info().name);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(SliceMerger { gpu: None, report: DeviceReport::cpu(why) })
    }

    /// The device, and why that.
    pub fn device(&self) -> &DeviceReport {
        &self.report
    }

    /// A whole merge.
    ///
    /// # Errors
    /// [`Error::Input`] for slices that are not of the shape; those of [`TokenMerger::new`] and of the device.
    pub fn merge(&self, shape: &MergeShape, input: MergeInput<'_>) -> Result<Merged> {
        let Some((gpu, queue)) = &self.gpu else { return cpu::merge(shape, input) };
        input.check(shape)?;
        let MergeShape { batch, channels, sources, .. } = *shape;
        let left = u64::from(batch) * u64::from(shape.tokens_out());
        let [keys, x] = [("tome.keys", input.keys), ("tome.x", input.x)];
        let [keys, x] = [gpu.buffer_with(keys.0, keys.1)?, gpu.buffer_with(x.0, x.1)?];
        let size = input.size.map(|size| gpu.buffer_with("tome.size", size)).transpose()?;
        let source = input.source.map(|source| gpu.buffer_with("tome.source", source)).transpose()?;
        let x_out = gpu.buffer("tome.x_out", left * u64::from(channels))?;
        let size_out = gpu.buffer("tome.size_out", left)?;
        let sources = u64::from(batch) * u64::from(sources);
        let source_out = gpu.buffer("tome.source_out", sources)?;
        let io = MergeIo {
            size: size.as_ref().map(Into::into),
            source: source.as_ref().map(Into::into),
            ..MergeIo::new(&keys, &x, &x_out).size_out(&size_out).source_out(&source_out)
        };
        let merger = TokenMerger::new(gpu, *shape, io)?;
        let read = |buffer, values: u64, encode: &dyn Fn(&mut wgpu::ComputePass<'_>)| {
            on((gpu, queue), (buffer, 4 * values), encode)
        };
        Ok(Merged {
            x: bytemuck::pod_collect_to_vec(&read(&x_out, left * u64::from(channels), &|pass| {
                merger.encode(pass)
            })?),
            size: bytemuck::pod_collect_to_vec(&read(&size_out, left, &|_| ())?),
            source: bytemuck::pod_collect_to_vec(&read(&source_out, sources, &|_| ())?),
        })
    }

    /// The way back: every original token from [`Params::first_source`](unmerge::Params::first_source) on gets a copy of
    /// the token that holds it, plus a residual if there is one, `[batch, sources - first_source, channels]`.
    ///
    /// # Errors
    /// [`Error::Input`] for slices that are not of the shape, and for a token that is held by one that is not there; those
    /// of [`unmerge`](kernels::unmerge()) and of the device.
    pub fn unmerge(
        &self,
        params: unmerge::Params,
        x: &[f32],
        source: &[u32],
        residual: Option<&[f32]>,
    ) -> Result<Vec<f32>> {
        let unmerge::Params { batch, tokens, sources, first_source, channels, .. } = params;
        let values = |rows: u32| batch as usize * rows as usize * channels as usize;
        let written = values(sources.saturating_sub(first_source));
        let lengths = [x.len(), source.len(), residual.map_or(written, <[f32]>::len)];
        let wanted = [values(tokens), batch as usize * sources as usize, written];
        if lengths != wanted || lengths.contains(&0) {
            return Err(Error::Input(format!("x, source and residual of {lengths:?} values for {params:?}")));
        }
        if let Some(holder) = source.iter().find(|&&holder| holder >= tokens) {
            return Err(Error::Input(format!("`source` names token {holder} of {tokens}")));
        }
        let Some((gpu, queue)) = &self.gpu else {
            let mut y = vec![0.0; written];
            cpu::unmerge(&params, x, source, residual, &mut y);
            return Ok(y);
        };
        let (x, source) = (gpu.buffer_with("tome.x", x)?, gpu.buffer_with("tome.source", source)?);
        let residual = residual.map(|residual| gpu.buffer_with("tome.residual", residual)).transpose()?;
        let y = gpu.buffer("tome.y", written as u64)?;
        let io =
            unmerge::Io { residual: residual.as_ref().map(Into::into), ..unmerge::Io::new(&x, &source, &y) };
        let dispatch = kernels::unmerge(gpu, params, io)?;
        let y = on((gpu, queue), (&y, 4 * written as u64), &|pass| dispatch.encode(pass))?;
        Ok(bytemuck::pod_collect_to_vec(&y))
    }
}

/// Runs a pass and reads a buffer's first bytes behind it.
fn on(
    (gpu, queue): (&Gpu, &wgpu::Queue),
    (buffer, bytes): (&wgpu::Buffer, u64),
    encode: &dyn Fn(&mut wgpu::ComputePass<'_>),
) -> Result<Vec<u8>> {
    let wait = |submission| Answer::known(poll(gpu.device(), submission));
    let record = |encoder: &mut wgpu::CommandEncoder| {
        encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
    };
    pollster::block_on(read(gpu, queue, buffer, bytes, record, &wait))
}
