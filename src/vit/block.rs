//! The network as a list of calls; reads like the picture in the crate's documentation.

use super::parameters::{Block, Parameters};
use super::recorder::{From, Recorder};
use crate::error::Result;
use crate::kernels::matmul::Activation;

/// Image to logits.
pub(super) fn network(record: &mut Recorder<'_>, p: &Parameters<wgpu::Buffer>) -> Result<()> {
    record.embed_patches(p)?;
    if let Some(norm) = &p.norm_pre {
        record.norm_tokens(norm)?;
    }
    record.name_tokens("embed");

    let tokens = record.options.tokens_per_block(record.config);
    for (i, b) in p.blocks.iter().enumerate() {
        record.enter(Some(i as u32));
        block(record, b, tokens[i] - tokens[i + 1])?;
    }
    record.enter(None);

    record.exact();
    match &p.pool {
        Some(pool) => record.attention_pool(p, pool)?,
        None => record.features(p)?,
    }
    record.heads(&p.heads)
}

/// Attention, merging, MLP (paper, section 3): the MLP works on what merging left.
fn block(record: &mut Recorder<'_>, p: &Block<wgpu::Buffer>, r: u32) -> Result<()> {
    let activation = record.config.activation;

    record.norm_to_narrow()?;
    record.widen(&p.qkv, Activation::NONE)?;
    if let Some(norm) = &p.qk_norm {
        record.norm_heads(norm)?;
    }
    record.attention()?;
    record.add(&p.proj, From::Narrow)?;
    record.name_tokens("attn");

    match r {
        0 => record.norm_to_narrow()?,
        r => record.merge(r)?,
    }
    match &p.gate {
        Some(gate) => record.widen_gated(gate, &p.fc1, activation)?,
        None => record.widen(&p.fc1, activation)?,
    }
    record.add(&p.fc2, From::Wide)?;
    record.name_tokens("tokens");
    Ok(())
}
