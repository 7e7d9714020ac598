//! How a network is run.

use std::path::Path;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tome_wgpu::Schedule;
use tome_wgpu::fit::Fitted;
use tome_wgpu::vit::{self, Config, Rule};

use crate::errors::{Raised, input};

/// How much and how tokens merge, for one network.
#[pyclass(frozen, module = "tome_wgpu._native")]
#[derive(Clone)]
pub struct Options {
    pub fitted: Fitted,
}

/// `from_json` and its arguments.
type Pickled<'py> = (Bound<'py, PyAny>, (Bound<'py, PyBytes>,));

/// What may be said of merging, whatever the schedule; what is absent stays as it is.
#[derive(FromPyObject, Default)]
#[pyo3(from_item_all)]
pub struct Knobs {
    prop_attn: Option<bool>,
    pool: Option<String>,
    protect: Option<String>,
    merge_mode: Option<String>,
    positions: Option<String>,
    partition: Option<String>,
    matching: Option<String>,
    metric: Option<String>,
    similarity: Option<String>,
    by_size: Option<f32>,
    threshold: Option<f32>,
    least: Option<String>,
}

impl Options {
    /// A schedule as it is written, for a network.
    pub fn of(schedule: &str, knobs: &Knobs, config: &Config) -> tome_wgpu::Result<Self> {
        let parsed: Schedule = schedule.parse()?;
        let mut options = vit::Options::for_network(config, parsed);
        knobs.turn(&mut options)?;
        options.check(config)?;
        Ok(Options { fitted: Fitted::new(config, options) })
    }

    /// What was fitted, or made for this network before.
    pub fn otherwise(&self, knobs: &Knobs, config: &Config) -> tome_wgpu::Result<(Self, Option<String>)> {
        let mut own = self.clone();
        knobs.turn(&mut own.fitted.options)?;
        let guess = own.fitted.check(config)?;
        Ok((own, guess))
    }
}

impl Knobs {
    fn turn(&self, options: &mut vit::Options) -> tome_wgpu::Result<()> {
        fn set<T: std::str::FromStr<Err = tome_wgpu::Error>>(
            value: &mut T,
            given: Option<&String>,
        ) -> tome_wgpu::Result<()> {
            if let Some(given) = given {
                *value = given.parse()?;
            }
            Ok(())
        }
        options.prop_attn = self.prop_attn.unwrap_or(options.prop_attn);
        set(&mut options.pool_by, self.pool.as_ref())?;
        set(&mut options.protect, self.protect.as_ref())?;
        set(&mut options.positions, self.positions.as_ref())?;
        set(&mut options.partition, self.partition.as_ref())?;
        set(&mut options.matching, self.matching.as_ref())?;
        set(&mut options.least, self.least.as_ref())?;
        options.threshold = self.threshold.or(options.threshold);
        let vit::Options { metric, similarity, by_size, merge, .. } = options;
        let mut all = Rule { metric: *metric, similarity: *similarity, by_size: *by_size, merge: *merge };
        for rule in std::iter::once(&mut all).chain(&mut options.rules) {
            set(&mut rule.merge, self.merge_mode.as_ref())?;
            set(&mut rule.metric, self.metric.as_ref())?;
            set(&mut rule.similarity, self.similarity.as_ref())?;
            rule.by_size = self.by_size.unwrap_or(rule.by_size);
        }
        Rule {
            metric: options.metric,
            similarity: options.similarity,
            by_size: options.by_size,
            merge: options.merge,
        } = all;
        Ok(())
    }
}

#[pymethods]
impl Options {
    /// What a file of `tome fit` holds, or `to_json` gave.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &[u8]) -> PyResult<Self> {
        Ok(Options { fitted: Fitted::from_json(text).raised(py)? })
    }

    /// Reads a file that `tome fit` or `save` has written.
    #[staticmethod]
    fn load(py: Python<'_>, path: &str) -> PyResult<Self> {
        Ok(Options { fitted: Fitted::read(Path::new(path)).raised(py)? })
    }

    /// Everything as the text of a file that `load` reads.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string_pretty(&self.fitted.to_json()).map_err(|error| input(py, error.to_string()))
    }

    /// Tokens merged in each block, before that is held against the tokens there are.
    #[getter]
    fn r(&self) -> Vec<u32> {
        self.fitted.options.schedule.per_block(self.fitted.depth as usize)
    }

    /// Whether it says the same, block by block.
    fn __eq__(&self, other: &Self) -> bool {
        self.fitted.to_json() == other.fitted.to_json()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Pickled<'py>> {
        let make = py.get_type::<Options>().getattr("from_json")?;
        Ok((make, (PyBytes::new(py, self.to_json(py)?.as_bytes()),)))
    }

    fn __repr__(&self) -> String {
        let vit::Options {
            schedule,
            threshold,
            least,
            prop_attn,
            pool_by,
            protect,
            positions,
            partition,
            matching,
            ..
        } = &self.fitted.options;
        let rule = self.fitted.options.rule(u32::MAX);
        let mut parts = vec![format!("r='{schedule}'")];
        if let Some(threshold) = threshold {
            parts.push(format!("threshold={threshold}, least='{least}'"));
        }
        parts.push(format!("prop_attn={}", if *prop_attn { "True" } else { "False" }));
        let named = [
            ("pool", pool_by.to_string()),
            ("protect", protect.to_string()),
            ("merge_mode", rule.merge.to_string()),
            ("positions", positions.to_string()),
            ("partition", partition.to_string()),
            ("matching", matching.to_string()),
            ("metric", rule.metric.to_string()),
            ("similarity", rule.similarity.to_string()),
        ];
        parts.extend(named.map(|(name, value)| format!("{name}='{value}'")));
        parts.push(format!("by_size={}", rule.by_size));
        let own = self.fitted.options.rules.len();
        let own =
            if own > 0 { format!(" with rules of its own in the first {own} blocks") } else { String::new() };
        format!("<Options for {}: {}{own}>", self.fitted.network, parts.join(", "))
    }
}
