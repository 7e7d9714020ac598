//! What a fit is to reach.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// What a fit is to reach. Written as `2x`, `30ms`, `500/s` or `error:0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// So many times the speed without merging.
    Speedup(f64),
    /// Seconds for a batch.
    Seconds(f64),
    /// Images a second.
    PerSecond(f64),
    /// As fast as can be with no larger difference from the results without merging.
    Error(f64),
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Input(format!("target `{text}`: give 2x, 30ms, 500/s or error:0.01"));
        let number = |text: &str| text.trim().parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
        let target = if let Some(error) = text.strip_prefix("error:") {
            number(error).map(Target::Error)
        } else if let Some(speedup) = text.strip_suffix('x') {
            number(speedup).map(Target::Speedup)
        } else if let Some(milliseconds) = text.strip_suffix("ms") {
            number(milliseconds).map(|ms| Target::Seconds(ms / 1e3))
        } else {
            text.strip_suffix("/s").and_then(number).map(Target::PerSecond)
        };
        target.ok_or_else(wrong)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Speedup(times) => write!(f, "{times}x"),
            Target::Seconds(seconds) => write!(f, "{}ms", seconds * 1e3),
            Target::PerSecond(images) => write!(f, "{images}/s"),
            Target::Error(error) => write!(f, "error:{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_printed() {
        for (text, target) in [
            ("2x", Target::Speedup(2.0)),
            ("30ms", Target::Seconds(0.03)),
            ("500/s", Target::PerSecond(500.0)),
            ("error:0.01", Target::Error(0.01)),
        ] {
            let read: Target = text.parse().unwrap();
            assert_eq!((read, read.to_string()), (target, text.into()));
        }
        for text in ["", "2", "x", "-1x", "0ms", "error:", "error:nan", "inf/s", "2 times"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
