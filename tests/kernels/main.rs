//! Every kernel on the GPU against the reference, in every variant that the adapter runs. Sizes are chosen
//! around the kernels' own constants; tolerances stand in each kernel's file with the reason for the number.

#[path = "../common/mod.rs"]
mod common;

mod attention;
mod choose_matches;
mod embed_patches;
mod errors;
mod find_matches;
mod key_metric;
mod layer_norm;
mod match_frames;
mod match_lines;
mod matmul;
mod merge_source;
mod merge_tokens;
mod norm_heads;
mod pool;
mod rank_matches;
mod resize_image;
mod split_tokens;
mod token_energy;
mod unmerge;
