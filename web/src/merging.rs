//! How a network is run, as JavaScript says it.

use tome_wgpu::fit::Fitted;
use tome_wgpu::vit::{Config, Options, Output, Want};
use tome_wgpu::{Error, Result};

use crate::files::FITTED;

/// What stands for the schedule in `fitted.json`.
const BY_FIT: &str = "fitted";

/// Reads what `tome fit` wrote for a network; says what about it is a guess.
pub fn fitted(text: &[u8], config: &Config) -> Result<(Options, Option<String>)> {
    let named = |error: Error| match error {
        Error::Input(why) => Error::File { path: FITTED.into(), why },
        error => error,
    };
    let fitted = Fitted::from_json(text).map_err(named)?;
    let guess = fitted.check(config).map_err(named)?;
    Ok((fitted.options, guess.map(|guess| format!("{FITTED}: {guess}"))))
}

/// A schedule as the command has it, or `fitted`.
pub fn options(text: &str, config: &Config, fitted: Option<&Options>) -> Result<Options> {
    match (text, fitted) {
        (BY_FIT, Some(options)) => Ok(options.clone()),
        (BY_FIT, None) => Err(Error::Input(format!("there is no {FITTED} beside the network"))),
        (schedule, _) => Ok(Options::for_network(config, schedule.parse()?)),
    }
}

/// Results by their names, with commas between.
pub fn want(names: &str) -> Result<Want> {
    let named = |name: &str| {
        let found = Output::ALL.iter().find(|output| output.name() == name);
        found.copied().ok_or_else(|| Error::Input(format!("`{name}` is no result")))
    };
    names.split(',').filter(|name| !name.is_empty()).map(named).collect()
}
