//! `tome devices`

use std::io::Write;

use anyhow::Result;
use tome_wgpu::{DeviceChoice, Session, adapters};

use crate::digits;

pub fn run() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for adapter in adapters() {
        writeln!(out, "{}: {} ({}, {})", adapter.index, adapter.name, adapter.backend, adapter.kind)?;
        writeln!(out, "   driver    {}", adapter.driver)?;
        let features = if adapter.features.is_empty() { "none".into() } else { adapter.features.join(", ") };
        writeln!(out, "   features  {features}")?;
        for (precision, tuning) in adapter.tunings {
            writeln!(out, "   tuned     {precision}: {tuning}")?;
        }
        for (name, value) in adapter.limits {
            writeln!(out, "   {name:<34} {value:>14}")?;
        }
    }
    let (config, weights) = digits::network()?;
    let auto = match Session::new(config, &weights, &DeviceChoice::Auto) {
        Ok(session) => session.device().to_string(),
        // The list above is still right, and what one needs to choose another.
        Err(error) => format!("error: {:#}", anyhow::Error::from(error)).replace('\n', " "),
    };
    writeln!(out, "auto: {auto}")?;
    Ok(())
}
