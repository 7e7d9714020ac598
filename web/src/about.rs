//! What is said of a network and of a plan.

use serde_json::{Value, json};
use tome_wgpu::vit::{Config, Options, Scores};

/// A network's config by the names of the package's types, and what only the package itself wants to know.
pub fn network(config: &Config, warnings: &[String], fitted: bool) -> Value {
    json!({
        "config": {
            "architecture": config.name,
            "imageSize": config.image_size,
            "grid": config.grid(),
            "prefixTokens": config.prefix(),
            "blocks": config.depth,
            "channels": config.embed_dim,
            "classes": config.num_classes,
            "labels": config.labels,
            "preprocess": config.preprocess.to_string(),
        },
        "warnings": warnings,
        "fitted": fitted,
        "exif": config.preprocess.exif,
        "scores": match config.scores {
            Scores::Softmax => "softmax",
            Scores::Sigmoid => "sigmoid",
            _ => "none",
        },
    })
}

/// A plan in numbers and words.
pub fn plan(config: &Config, options: &Options) -> Value {
    let tokens = options.tokens_per_block(config);
    let flops = 2.0 * config.macs(&tokens);
    let speedup = options.promised_speedup(config);
    let (first, last) = (tokens[0], tokens[tokens.len() - 1]);
    let text = match first == last {
        true => format!("{first} tokens, nothing merges: {:.2} GFLOP an image", flops / 1e9),
        false => format!(
            "{first} tokens become {last}: {:.2} GFLOP an image, {speedup:.2} times as fast as without merging, counted in operations",
            flops / 1e9
        ),
    };
    json!({
        "tokensPerBlock": &tokens[1..],
        "tokens": first,
        "flops": flops,
        "promisedSpeedup": speedup,
        "text": text,
    })
}
