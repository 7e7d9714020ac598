//! Networks from the Hugging Face hub, by way of the cache that its own library keeps.

mod cache;
mod client;
mod contents;
mod download;
mod environment;
mod fetch;
mod hearing;
mod refusal;

pub use fetch::{fetch_model, fetch_model_heard};
pub use hearing::Fetching;

/// What went wrong, in words that follow the model's name.
type Result<T, E = String> = std::result::Result<T, E>;

/// The most bytes of a config, an index or a description.
const MAX_TEXT: u64 = 1 << 24;

/// The beginning of what a server said, fit for a message.
fn shown(text: &str) -> String {
    text.escape_debug().take(160).collect()
}
