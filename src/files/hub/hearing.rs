//! What is told of a model on its way.

use std::collections::HashMap;
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};

/// How far a model on its way from the hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fetching<'a> {
    /// Another download of the same model has to end first.
    Waits,
    /// So many bytes of a file are there, of as many as the server says.
    #[non_exhaustive]
    File {
        /// Its name in the repository.
        name: &'a str,
        /// Bytes that are there.
        bytes: u64,
        /// All of them.
        total: Option<u64>,
    },
}

/// Who is told, and may give up.
pub(super) type Hear<'h> = dyn FnMut(Fetching<'_>) -> ControlFlow<()> + 'h;

/// A bar on stderr for each file.
#[derive(Default)]
pub(super) struct Bars {
    bars: HashMap<String, ProgressBar>,
    waits: Option<ProgressBar>,
}

impl Bars {
    pub fn hear(&mut self, told: Fetching<'_>) -> ControlFlow<()> {
        let Fetching::File { name, bytes, total } = told else {
            let waits = || ProgressBar::new_spinner().with_message("another download of the same");
            self.waits.get_or_insert_with(waits).tick();
            return ControlFlow::Continue(());
        };
        if let Some(waits) = self.waits.take() {
            waits.finish_and_clear();
        }
        let bar = self.bars.entry(name.into()).or_insert_with(|| bar(name));
        bar.set_length(total.unwrap_or(0));
        bar.set_position(bytes);
        ControlFlow::Continue(())
    }

    /// Everything is there.
    pub fn finish(self) {
        self.bars.into_values().for_each(|bar| bar.finish());
    }
}

fn bar(file: &str) -> ProgressBar {
    let style = "{msg} [{elapsed_precise}] [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} ({eta})";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(file.to_owned())
}
