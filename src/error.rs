//! The one error type of the library.

/// Everything that can go wrong. Errors about a kernel are found when its [`Dispatch`](crate::Dispatch) is
/// made, never when it is encoded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A kernel's `Params` hold a number it cannot work with.
    #[error("{kernel}: {what}")]
    Params {
        /// The kernel's stem.
        kernel: &'static str,
        /// The parameter, what it is and what it may be.
        what: String,
    },
    /// A buffer (or the part of it after the view's offset) is too small for the shape in `Params`.
    #[error("{kernel}: buffer `{binding}` needs {need} bytes and has {have}")]
    BufferTooSmall {
        /// The kernel's stem.
        kernel: &'static str,
        /// The binding's name in the shader.
        binding: &'static str,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// A view starts where the device cannot bind it.
    #[error("{kernel}: buffer `{binding}` starts at byte {offset}, which is no multiple of {alignment}")]
    BufferOffset {
        /// The kernel's stem.
        kernel: &'static str,
        /// The binding's name in the shader.
        binding: &'static str,
        /// The view's offset in bytes.
        offset: u64,
        /// The number that offsets must be multiples of on this device.
        alignment: u64,
    },
    /// A buffer was made without `BufferUsages::STORAGE`.
    #[error("{kernel}: buffer `{binding}` was made without BufferUsages::STORAGE")]
    BufferUsage {
        /// The kernel's stem.
        kernel: &'static str,
        /// The binding's name in the shader.
        binding: &'static str,
    },
    /// A texture where a kernel binds a buffer, or the other way round.
    #[error("{kernel}: `{binding}` is a buffer where a texture belongs, or a texture where a buffer belongs")]
    BindingKind {
        /// The kernel's stem.
        kernel: &'static str,
        /// The binding's name in the shader.
        binding: &'static str,
    },
    /// One buffer is both read and written, which WebGPU forbids within a dispatch, even for disjoint ranges.
    #[error("{kernel}: `{write}` is written and `{other}` lies in the same buffer; WebGPU wants two buffers")]
    BufferAliased {
        /// The kernel's stem.
        kernel: &'static str,
        /// The written binding.
        write: &'static str,
        /// The other binding in the same buffer.
        other: &'static str,
    },
    /// More than the device allows.
    #[error("{what} needs {need}, and this device's {limit} is {have}")]
    Limit {
        /// The kernel, buffer or batch that asked for it.
        what: String,
        /// The limit's name in WebGPU.
        limit: &'static str,
        /// The value that is needed.
        need: u64,
        /// The value that the device offers.
        have: u64,
    },
    /// A shader did not compile: a defect of this crate or of the driver.
    #[error("{kernel}: shader does not compile, {place}: {message}")]
    Shader {
        /// The kernel's stem.
        kernel: &'static str,
        /// File and line, where known.
        place: String,
        /// The compiler's words.
        message: String,
    },
    /// The device, or for the CPU path the system, refused memory.
    #[error("out of memory while making {what} ({bytes} bytes)")]
    OutOfMemory {
        /// The object that was being made.
        what: String,
        /// Its size.
        bytes: u64,
    },
    /// The device refused something else.
    #[error("the device refused {what}: {message}")]
    Device {
        /// The object or call that it refused.
        what: String,
        /// The device's words.
        message: String,
    },
    /// Two variants of the kernels compute different results: a defect of this crate or of the driver.
    #[error("{what}: logits differ from those of {with} by {apart:.1e} of the largest")]
    Disagreement {
        /// The variant.
        what: String,
        /// The variant that it was compared with.
        with: String,
        /// The largest difference by the largest value.
        apart: f64,
    },
    /// The device was lost or destroyed.
    #[error("the device was lost: {0}")]
    DeviceLost(String),
    /// No adapter fits the request.
    #[error("no adapter: {0}")]
    NoAdapter(String),
    /// A schedule that cannot be read.
    #[error("r = `{text}`: {why}")]
    Schedule {
        /// The schedule as given.
        text: String,
        /// The reason.
        why: String,
    },
    /// A model configuration that makes no sense.
    #[error("config: {field}: {why}")]
    Config {
        /// The field's name in `config.json`.
        field: String,
        /// The reason.
        why: String,
    },
    /// A model configuration that makes sense and is not supported.
    #[error("config: {field} = {value} is not supported: {why}")]
    Unsupported {
        /// The field's name in `config.json`.
        field: String,
        /// Its value there.
        value: String,
        /// The reason, and what is supported instead.
        why: String,
    },
    /// A tensor that is missing, surplus, or of the wrong shape or type.
    #[error("weights: {name}: {why}")]
    Weight {
        /// The tensor's name.
        name: String,
        /// The reason.
        why: String,
    },
    /// Input that does not fit the model or the call.
    #[error("input: {0}")]
    Input(String),
    /// A model that cannot be had from the Hugging Face hub.
    #[error("hf-hub:{model}: {why}")]
    Hub {
        /// Its name there.
        model: String,
        /// The reason.
        why: String,
    },
    /// A file that cannot be read or written, or whose content is broken.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        why: String,
    },
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
