//! Arguments that several subcommands share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::merge_tokens::MergeMode;
use tome_wgpu::vit::{Config, Metric, Options, PoolBy, Protect, Tensors};
use tome_wgpu::{DeviceChoice, Element, Partition, Schedule, Session};

/// The network.
#[derive(Args)]
pub struct ModelArgs {
    /// A network as it is downloaded: a folder in the layout of timm, transformers or torchvision, a safetensors file,
    /// or a model of the Hugging Face hub, hf-hub:OWNER/NAME[@REVISION]; without it the built-in digits
    #[arg(long, value_name = "DIR|FILE|hf-hub:NAME")]
    pub model: Option<PathBuf>,
    /// The config.json, where it is not beside the weights
    #[arg(long, value_name = "FILE", requires = "model")]
    pub config: Option<PathBuf>,
    /// The architecture by timm's name, for weights without a config.json
    #[arg(long, value_name = "NAME", value_parser = architecture)]
    pub arch: Option<String>,
    /// Height and width of the input in pixels, 384 or 288x512; positions are resampled as the network's own code does
    #[arg(long, value_name = "HxW")]
    pub image_size: Option<ImageSize>,
}

/// A known architecture, with or without its training behind a dot.
fn architecture(name: &str) -> Result<String, String> {
    let known = Config::preset(name.split('.').next().unwrap_or_default());
    known.map(|config| config.name).map_err(|error| error.to_string())
}

/// Height and width in pixels.
#[derive(Clone, Copy)]
pub struct ImageSize(pub [u32; 2]);

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let side = |side: &str| side.parse().map_err(|_| format!("`{text}` is no number or HEIGHTxWIDTH"));
        Ok(ImageSize([side(height)?, side(width)?]))
    }
}

/// The device, and how weights and activations are stored.
#[derive(Args)]
pub struct DeviceArgs {
    /// auto, cpu, an adapter's number in `tome devices`, or a part of `NAME (Backend)` as listed there
    #[arg(long, value_name = "auto|cpu|NAME|INDEX", default_value = "auto")]
    pub device: DeviceChoice,
    /// How weights and activations are stored; the CPU path has f32 only
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: Precision,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Precision {
    F32,
    F16,
}

impl DeviceArgs {
    /// A network on the device.
    pub fn session(&self, config: Config, weights: &dyn Tensors) -> tome_wgpu::Result<Session> {
        let element = match self.precision {
            Precision::F32 => Element::F32,
            Precision::F16 => Element::F16,
        };
        Session::with_element(config, weights, &self.device, element)
    }
}

/// The schedule of merging, and how tokens merge.
#[derive(Args)]
pub struct MergeArgs {
    /// Tokens merged in each block: 13, 16:-1 (r : inflection) or 32,29,26 (a list)
    // A negative number is a wrong schedule, not an unknown flag.
    #[arg(long, value_name = "R", default_value = "0", allow_hyphen_values = true)]
    pub r: Schedule,
    /// Whether attention counts a merged token as often as it has members; without it all networks but masked
    /// autoencoders that have not been trained further do
    #[arg(long, value_enum)]
    prop_attn: Option<Switch>,
    /// Average pooling counts a merged token by its size, or once
    #[arg(long, value_enum, default_value = "size")]
    pool: PoolName,
    /// Which tokens never merge: all before the patches, or only the class token
    #[arg(long, value_enum, default_value = "prefix")]
    protect: ProtectName,
    /// The way tokens of a group become one: their mean weighted by size, mean, sum, the largest or smallest value in
    /// each channel, the one that the others merge into, their mean as long as the longest of them (mlerp), or the value
    /// of the largest magnitude in each channel
    #[arg(long, value_enum, default_value = "wmean")]
    merge_mode: ModeName,
    /// Which tokens may merge: every other one, the first half, all but every K-th, random ones, or by energy those that
    /// have most like them; MARGIN is the cosine from which on two are alike, without one 0.9 in the first block and less
    /// from block to block
    #[arg(
        long,
        value_name = "alternating|sequential|every:K|random:SEED|energy[:MARGIN]",
        default_value = "alternating"
    )]
    partition: Partition,
    /// The rows that tokens are matched by: the attention's keys, queries or values, the block's input, or what
    /// attention made of it
    #[arg(long, value_enum, default_value = "keys")]
    metric: MetricName,
    /// The measure by which two tokens are alike: the cosine, dot product or negative distance of their metrics
    #[arg(long, value_enum, default_value = "cosine")]
    similarity: SimilarityName,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum PoolName {
    Size,
    Plain,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtectName {
    Prefix,
    Cls,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeName {
    Wmean,
    Mean,
    Sum,
    Max,
    Min,
    KeepOne,
    Mlerp,
    MaxMagnitude,
}

#[derive(Clone, Copy, ValueEnum)]
enum MetricName {
    Keys,
    Queries,
    Values,
    Input,
    Attention,
}

#[derive(Clone, Copy, ValueEnum)]
enum SimilarityName {
    Cosine,
    Dot,
    Euclidean,
}

impl MergeArgs {
    /// The way a network is run.
    pub fn options(&self, config: &Config) -> Options {
        let mut options = Options::for_network(config, self.r.clone());
        if let Some(switch) = &self.prop_attn {
            options.prop_attn = matches!(switch, Switch::On);
        }
        options.pool_by = match self.pool {
            PoolName::Size => PoolBy::Size,
            PoolName::Plain => PoolBy::Plain,
        };
        options.protect = match self.protect {
            ProtectName::Prefix => Protect::Prefix,
            ProtectName::Cls => Protect::Class,
        };
        options.merge = match self.merge_mode {
            ModeName::Wmean => MergeMode::WeightedMean,
            ModeName::Mean => MergeMode::Mean,
            ModeName::Sum => MergeMode::Sum,
            ModeName::Max => MergeMode::Max,
            ModeName::Min => MergeMode::Min,
            ModeName::KeepOne => MergeMode::KeepOne,
            ModeName::Mlerp => MergeMode::Mlerp,
            ModeName::MaxMagnitude => MergeMode::MaxMagnitude,
        };
        options.partition = self.partition;
        options.metric = match self.metric {
            MetricName::Keys => Metric::Keys,
            MetricName::Queries => Metric::Queries,
            MetricName::Values => Metric::Values,
            MetricName::Input => Metric::Input,
            MetricName::Attention => Metric::Attention,
        };
        options.similarity = match self.similarity {
            SimilarityName::Cosine => Similarity::Cosine,
            SimilarityName::Dot => Similarity::Dot,
            SimilarityName::Euclidean => Similarity::Euclidean,
        };
        options
    }
}
