//! A network on its device.

use std::ops::ControlFlow;
use std::path::PathBuf;

use numpy::{PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tome_wgpu::files::{Checkpoint, Fetching, fetch_model_heard, load_model, load_model_as};
use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Config, Images, Outputs, Packed, Want};
use tome_wgpu::{DeviceChoice, Element, Error, Session};

use crate::arrays::{array, outputs, values, wanted};
use crate::changes::Changes;
use crate::describe;
use crate::errors::{Broken, Raised, input, raised};
use crate::options::{Knobs, Options};
use crate::packed;
use crate::pictures::{Picture, Values, load, load_one};
use crate::process::{Own, enter};
use crate::stream::Stream;

/// Images after which Python's signals are looked after on a GPU.
const AT_ONCE: usize = 64;
/// The same for each thread of the CPU path.
const AT_ONCE_A_THREAD: usize = 4;

#[pyclass(frozen, module = "tome_wgpu._native")]
pub struct Network {
    session: Own<Session>,
    config: Config,
    #[pyo3(get)]
    warnings: Vec<String>,
}

/// Pictures as a network takes them, those that cannot be read, and of pictures of any shape rows and columns of patches.
type Loaded<'py> = (Bound<'py, PyAny>, Broken<'py>, Option<Vec<[u32; 2]>>);

/// Images as a network takes them.
#[derive(FromPyObject)]
pub enum Input<'py> {
    Normalised(PyReadonlyArrayDyn<'py, f32>),
    Pixels(PyReadonlyArrayDyn<'py, u8>),
}

impl Network {
    pub fn session(&self, py: Python<'_>) -> PyResult<&Session> {
        self.session.get(py)
    }
}

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (source, device, precision, config, arch, image_size, changes, say))]
    #[expect(clippy::too_many_arguments, reason = "Python's `load` names them")]
    fn new(
        py: Python<'_>,
        source: Option<PathBuf>,
        device: &str,
        precision: &str,
        config: Option<PathBuf>,
        arch: Option<&str>,
        image_size: Option<[u32; 2]>,
        changes: Changes,
        say: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        enter(py)?;
        let element = match precision {
            "f32" => Element::F32,
            "f16" => Element::F16,
            other => return Err(input(py, format!("precision `{other}`; give f32 or f16"))),
        };
        let mut interrupted = None;
        let opened = py.detach(|| {
            let device: DeviceChoice = device.parse()?;
            let source = fetched(source, say.as_ref(), &mut interrupted)?;
            let (mut config, mut weights) = read(source, config, arch)?;
            if let Some(size) = image_size {
                weights.resample_positions(&mut config, size)?;
            }
            changes.apply(&mut config)?;
            tome_command::imagenet::name_classes(&mut config);
            let session = Session::with_element(config.clone(), &weights, &device, element)?;
            Ok((session, config, weights.warnings().to_vec()))
        });
        if let Some(error) = interrupted {
            return Err(error);
        }
        let (session, config, warnings) = opened.raised(py)?;
        Ok(Network { session: Own::new(session), config, warnings })
    }

    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        describe::config(py, &self.config)
    }

    fn preprocess<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        describe::preprocess(py, &self.config)
    }

    fn device<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        describe::device(py, self.session(py)?.device())
    }

    /// A schedule with knobs.
    fn options(&self, py: Python<'_>, schedule: &str, knobs: Knobs) -> PyResult<Options> {
        Options::of(schedule, &knobs, &self.config).raised(py)
    }

    /// Options that were fitted or made elsewhere, with knobs; says what is a guess about them.
    fn adopt(&self, py: Python<'_>, options: &Options, knobs: Knobs) -> PyResult<(Options, Option<String>)> {
        options.otherwise(&knobs, &self.config).raised(py)
    }

    /// Runs images.
    fn run<'py>(
        &self,
        py: Python<'py>,
        images: Input<'py>,
        options: &Options,
        want: Vec<String>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let want = wanted(py, &want)?;
        let results = self.through(py, images.checked(&self.config)?, options, want)?;
        outputs(py, results, &self.config, want)
    }

    /// Pictures as the network takes them, zeros for those that cannot be read, with their places and exceptions; of pictures
    /// of any shape also rows and columns of patches.
    fn load<'py>(&self, py: Python<'py>, items: Vec<Bound<'py, PyAny>>) -> PyResult<Loaded<'py>> {
        enter(py)?;
        let pictures = Picture::all(&items)?;
        let loaded = py.detach(|| load(&pictures, 0, &self.config));
        py.check_signals()?;
        let errors = raised(py, loaded.broken);
        let count = pictures.len();
        Ok(match loaded.values {
            Values::Pixels(pixels) => {
                (array(py, pixels, &shape(count, true, &self.config))?.into_any(), errors, None)
            }
            Values::Packed(rows, grids) => {
                (array(py, rows, &shape(count, false, &self.config))?.into_any(), errors, Some(grids))
            }
        })
    }

    /// What transformers' processor makes of pictures of any shape, as the network takes it.
    fn pack<'py>(
        &self,
        py: Python<'py>,
        pixel_values: PyReadonlyArrayDyn<'py, f32>,
        pixel_attention_mask: PyReadonlyArrayDyn<'py, i64>,
        spatial_shapes: PyReadonlyArrayDyn<'py, i64>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        packed::pack(py, &pixel_values, &pixel_attention_mask, &spatial_shapes, &self.config)
    }

    /// Pixels as normalised floats.
    fn normalise<'py>(
        &self,
        py: Python<'py>,
        pixels: PyReadonlyArrayDyn<'py, u8>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let images = Input::Pixels(pixels);
        let checked = images.checked(&self.config)?;
        let count = checked.len() / self.config.image_values();
        let floats =
            py.detach(|| checked.normalised(&self.config).map(|values| values.into_owned())).raised(py)?;
        array(py, floats, &shape(count, false, &self.config))
    }

    /// A way for batches of pictures.
    fn stream(&self, py: Python<'_>, options: &Options, want: Vec<String>) -> PyResult<Stream> {
        let want = wanted(py, &want)?;
        let device = self.session(py)?.stream(&options.fitted.options, want);
        Ok(Stream::new(device, self.config.clone(), want))
    }

    /// Tokens from block to block, multiply-adds of an image, and the promised speed-up.
    fn cost(&self, options: &Options) -> (Vec<u32>, f64, f64) {
        let options = &options.fitted.options;
        let tokens = options.tokens_per_block(&self.config);
        let macs = self.config.macs(&tokens);
        (tokens, macs, options.promised_speedup(&self.config))
    }

    /// The device's calls for a batch, a line each; none on the CPU path.
    fn calls(&self, py: Python<'_>, options: &Options, batch: u32) -> PyResult<Option<String>> {
        let session = self.session(py)?;
        let options = &options.fitted.options;
        py.detach(|| session.calls(batch, options)).raised(py)
    }

    /// Seconds of a pass of a batch whose images are on the device.
    fn measure(&self, py: Python<'_>, options: &Options, batch: usize) -> PyResult<f64> {
        let session = self.session(py)?;
        let options = &options.fitted.options;
        let measured = py.detach(|| Bench::new(session).measure(batch, options)).raised(py)?;
        py.check_signals()?;
        Ok(measured.seconds)
    }

    /// Paints which patches of a picture merge; also the tokens from block to block.
    fn paint<'py>(
        &self,
        py: Python<'py>,
        picture: Bound<'py, PyAny>,
        options: &Options,
        strip: bool,
    ) -> PyResult<(Bound<'py, PyArrayDyn<u8>>, Vec<usize>)> {
        let session = self.session(py)?;
        let picture = load_one(&picture, &self.config)?.raised(py)?;
        let painted =
            py.detach(|| tome_command::visualize::paint(session, picture, &options.fitted.options, strip));
        let (mut frames, tokens) = painted.raised(py)?;
        // A picture is one frame.
        let painted = frames.swap_remove(0);
        let shape = [painted.height() as usize, painted.width() as usize, 3];
        Ok((array(py, painted.into_raw(), &shape)?, tokens))
    }
}

impl Network {
    /// All images, part by part, with an eye on Ctrl-C.
    pub fn through(
        &self,
        py: Python<'_>,
        images: Images<'_>,
        options: &Options,
        want: Want,
    ) -> PyResult<Outputs> {
        let session = self.session(py)?;
        let options = &options.fitted.options;
        let at_once = match session.device().backend == "CPU" {
            true => AT_ONCE_A_THREAD * rayon::current_num_threads(),
            false => AT_ONCE,
        };
        let at_once = at_once * self.config.image_values();
        let mut left = images;
        if left.len() <= at_once {
            let results = py.detach(|| session.run(left, options, want)).raised(py)?;
            py.check_signals()?;
            return Ok(results);
        }
        let (mut stream, mut all) = (session.stream(options, want), Outputs::default());
        loop {
            if !stream.is_full() && !left.is_empty() {
                let (part, others) = left.split_at(left.len().min(at_once));
                py.detach(|| stream.push(part)).raised(py)?;
                left = others;
            } else {
                match py.detach(|| stream.pop()).raised(py)? {
                    Some(results) => all.append(results),
                    None => return Ok(all),
                }
            }
            py.check_signals()?;
        }
    }
}

impl Input<'_> {
    /// Of the network's shape, one after the other.
    pub fn checked(&self, config: &Config) -> PyResult<Images<'_>> {
        let (py, given, pixels) = match self {
            Input::Normalised(floats) => (floats.py(), floats.shape(), false),
            Input::Pixels(pixels) => (pixels.py(), pixels.shape(), true),
        };
        if pixels && config.packed.is_some() {
            let why = "pixels, and the network takes pictures of any shape: give them in a list";
            return Err(input(py, why));
        }
        let count = given.first().copied().unwrap_or_default();
        let wanted = shape(count, pixels, config);
        if given != wanted || count == 0 {
            let sides = wanted[1..].iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            let (kind, hint) = match pixels {
                false => ("normalised float32", ""),
                true => (
                    "uint8 pixels",
                    "; `model.preprocess` makes them of pictures of any size, which can also be given in a list",
                ),
            };
            return Err(input(
                py,
                format!("images of shape {given:?}; {} takes [batch, {sides}] as {kind}{hint}", config.name),
            ));
        }
        Ok(match self {
            Input::Normalised(floats) => values(floats, "images")?.into(),
            Input::Pixels(pixels) => values(pixels, "images")?.into(),
        })
    }
}

/// The shape of so many images.
pub fn shape(count: usize, pixels: bool, config: &Config) -> Vec<usize> {
    if let Some(Packed { patches, .. }) = config.packed {
        return vec![count, patches as usize, config.image_values() / patches as usize];
    }
    let [height, width] = config.image_size;
    let sides = if pixels { [height, width, config.in_chans] } else { [config.in_chans, height, width] };
    let frames = (config.frames > 1).then_some(config.frames as usize);
    [count].into_iter().chain(frames).chain(sides.map(|side| side as usize)).collect()
}

/// The folder of a network of the hub; another source as it is. `say` hears of a file's name, the bytes that are there and all
/// of them. Ctrl-C or an exception in it ends a download, and is `interrupted`.
fn fetched(
    source: Option<PathBuf>,
    say: Option<&Py<PyAny>>,
    interrupted: &mut Option<PyErr>,
) -> tome_wgpu::Result<Option<PathBuf>> {
    let hub = source.as_ref().and_then(|source| source.to_str()?.strip_prefix("hf-hub:"));
    let Some(name) = hub else { return Ok(source) };
    let folder = fetch_model_heard(name, &mut |told| {
        let told = match told {
            Fetching::File { name, bytes, total, .. } => (Some(name), bytes, total),
            _ => (None, 0, None),
        };
        let heard = Python::attach(|py| {
            py.check_signals()?;
            say.map_or(Ok(()), |say| say.call1(py, told).map(drop))
        });
        match heard {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                *interrupted = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    Ok(Some(folder))
}

/// A network of a folder or a file, or the built-in digits.
fn read(
    source: Option<PathBuf>,
    config: Option<PathBuf>,
    arch: Option<&str>,
) -> tome_wgpu::Result<(Config, Checkpoint)> {
    let Some(folder) = source else {
        return tome_command::digits::network().map_err(|error| Error::Input(format!("{error:#}")));
    };
    match arch {
        Some(arch) => load_model_as(&folder, arch),
        None => load_model(&folder, config.as_deref()),
    }
}
