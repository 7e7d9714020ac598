//! `Bench`: what is measured of a session.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::session::{Backend, OnGpu, Session, Tuning, forget, save};
use crate::tune::measure::{Measured, Timer};
use crate::tune::profile::Profile;
use crate::tune::search::Tuned;
use crate::vit::Options;

/// A session's forward passes on a stopwatch, with inputs of its own. Times are those of an otherwise idle device: who
/// measures runs nothing else meanwhile.
///
/// ```no_run
/// # use tome_wgpu::{Session, vit::Options, tune::Bench};
/// # fn time(session: &Session) -> tome_wgpu::Result<()> {
/// let mut bench = Bench::new(session);
/// println!("{:?}", bench.measure(8, &Options::default())?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Bench {
    session: Session,
    /// Enough for the largest batch so far.
    inputs: Vec<f32>,
}

impl Bench {
    /// A stopwatch for a session.
    pub fn new(session: &Session) -> Self {
        Bench { session: session.clone(), inputs: Vec::new() }
    }

    /// The time of one forward pass of `batch` images that are already on the device. On a GPU the first call for a
    /// batch and options also compiles and warms up, untimed.
    ///
    /// # Errors
    /// [`Error::Limit`] where the batch does not fit the device at once; as [`Session::run`] otherwise.
    pub fn measure(&mut self, batch: usize, options: &Options) -> Result<Measured> {
        let values = self.make_inputs(batch)?;
        let inputs = &self.inputs[..values];
        match self.session.backend() {
            Backend::Gpu(gpu) => Timer::new(gpu).measure(inputs, options),
            Backend::Cpu(vit) => {
                let start = Instant::now();
                vit.forward(inputs, options)?;
                Ok(Measured { seconds: start.elapsed().as_secs_f64(), peak_bytes: vit.bytes() })
            }
        }
    }

    /// The part of a forward pass's kernel time that goes into matching and merging, by timestamps; none where the
    /// adapter has none, and for the CPU path. The LayerNorm that follows merging is part of it, as one kernel does
    /// both.
    ///
    /// # Errors
    /// As [`Bench::measure`].
    pub fn merge_share(&mut self, batch: usize, options: &Options) -> Result<Option<f64>> {
        let values = self.make_inputs(batch)?;
        match self.session.backend() {
            Backend::Gpu(gpu) => Timer::new(gpu).merge_share(&self.inputs[..values], options),
            Backend::Cpu(_) => Ok(None),
        }
    }

    /// The places where a forward pass spends its time, kernel by kernel, by timestamps; none where the adapter has
    /// none, and for the CPU path.
    ///
    /// # Errors
    /// As [`Bench::measure`].
    pub fn profile(&mut self, batch: usize, options: &Options) -> Result<Option<Profile>> {
        let values = self.make_inputs(batch)?;
        match self.session.backend() {
            Backend::Gpu(gpu) => Timer::new(gpu).profile(&self.inputs[..values], options),
            Backend::Cpu(_) => Ok(None),
        }
    }

    /// The times of a forward pass without merging for every way of cutting matrix products into tiles that makes a
    /// difference for these batches: kinds of tile, and how their size is chosen. All take turns for so many rounds (at
    /// least one), as devices drift, and count only where their logits agree with those of the table's choice. Nothing
    /// changes by it, see [`Bench::save_tuning`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] on the CPU path, [`Error::Input`] without batches; as [`Bench::measure`].
    pub fn tune(&mut self, batches: &[usize], rounds: usize) -> Result<Tuned> {
        self.gpu()?;
        let Some(&most) = batches.iter().max() else {
            return Err(Error::Input("no batches to tune for".into()));
        };
        if batches.contains(&0) {
            return Err(Error::Input("a batch of 0 images".into()));
        }
        let values = self.make_inputs(most)?;
        let batches: Vec<u32> = batches.iter().map(|&batch| batch as u32).collect();
        Timer::new(self.gpu()?).tune(&self.inputs[..values], &batches, rounds.max(1))
    }

    /// Keeps a tuning for this device, its driver and the storage type in the session's [store](Session::store), and says
    /// where. Sessions with that store take it up when they are opened.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] on the CPU path; [`Error::File`] where the store keeps nothing or cannot be written, as that
    /// of [`Session::on`].
    pub fn save_tuning(&self, tuning: Tuning) -> Result<String> {
        save(self.session.store(), &self.gpu()?.table, tuning)
    }

    /// Removes what [`Bench::save_tuning`] has kept for this device, driver and storage type; says whether there was
    /// anything.
    ///
    /// # Errors
    /// As [`Bench::save_tuning`].
    pub fn forget_tuning(&self) -> Result<bool> {
        forget(self.session.store(), &self.gpu()?.table)
    }

    /// The device, where it is one that can be tuned.
    fn gpu(&self) -> Result<&OnGpu> {
        match self.session.backend() {
            Backend::Gpu(gpu) => Ok(gpu),
            Backend::Cpu(_) => {
                let why = &self.session.device().why;
                Err(Error::NoAdapter(format!("the CPU path has nothing to tune ({why})")))
            }
        }
    }

    /// Inputs for a batch; says how many values they are.
    fn make_inputs(&mut self, batch: usize) -> Result<usize> {
        let wrong = || Error::Input(format!("a batch of {batch} images"));
        let count = u32::try_from(batch).ok().filter(|&count| count > 0).ok_or_else(wrong)?;
        if let Backend::Gpu(gpu) = self.session.backend() {
            // Says so where it does not fit, before inputs are made for it.
            gpu.runner.engine().vit().check_batch(count)?;
        }
        let values = batch.checked_mul(self.session.config().image_values()).ok_or_else(wrong)?;
        if self.inputs.len() < values {
            // Not the same for any two patches or images: equal tokens would make merging trivial.
            let mut inputs = Vec::new();
            inputs.try_reserve_exact(values).map_err(|_| Error::OutOfMemory {
                what: format!("{batch} images"),
                bytes: values as u64 * 4,
            })?;
            inputs.extend((0..values).map(|i| ((i as f32 * 0.618_034).fract() - 0.5) * 2.0));
            self.inputs = inputs;
        }
        Ok(values)
    }
}
