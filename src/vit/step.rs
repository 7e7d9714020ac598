//! One call of a plan, and what stands where after it.

use crate::dispatch::Dispatch;

/// One call of a plan's list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The call.
    pub dispatch: Dispatch,
    /// The block it belongs to; none before the first and after the last.
    pub block: Option<u32>,
    /// Named values that it has written.
    pub stages: Vec<Stage>,
}

/// A named intermediate, such as `layer03.merged`.
///
/// Names are `embed`; in each block `layerNN.` and `attn` (after the residual), where it merges `metric` (of unit length
/// for cosines), where tokens do not alternate `split`, `score`, `best`, `rank` (neither of the four along lines and
/// within frame groups), `plan`, `merged` and `size`, and always `tokens`; then `features` and `logits`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The buffer that holds it until a later step overwrites it.
    pub buffer: wgpu::Buffer,
    /// Elements of 4 bytes.
    pub elements: u64,
    /// They are u32, not f32.
    pub indices: bool,
}
