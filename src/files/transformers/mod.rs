//! The `config.json` of Hugging Face transformers to a [`Config`](crate::vit::Config), and which names its tensors have:
//! what all families share, and each family in a file of its own, which [`family::ALL`] lists.

mod aimv2;
mod ast;
mod beit;
mod class;
mod config;
mod dinov2;
mod dinov3;
mod family;
mod towers;
mod video;
mod video_mae_2;
mod vit;

pub(super) use config::parse;
