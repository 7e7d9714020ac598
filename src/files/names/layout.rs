//! From the names of a checkpoint's layout to timm's: tables of renamed beginnings, and what is left out.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::vit::autoencoder::Autoencoder;

/// A piece of one of timm's tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::files) enum Part {
    /// All of it.
    Whole,
    /// One of several that lie one after the other along the first dimension: q, k, v.
    Nth(u8),
    /// All of it, and these thirds of the checkpoint's tensor.
    Thirds(u8, u8),
    /// All of it, and the checkpoint's rows but for the last three times its columns: what comes before q, k and v.
    BeforeQkv,
    /// All of it, and those rows.
    Qkv,
}

use Part::{Nth, Whole};

impl Part {
    /// Its place among those of one tensor.
    fn order(self) -> u8 {
        if let Nth(order) = self { order } else { 0 }
    }
}

/// The beginning of a name, what it becomes, and which part that is.
pub(super) type Rule = (&'static str, &'static str, Part);

/// How a library names the tensors of a network.
#[derive(Debug)]
pub(in crate::files) struct Layout {
    /// Any of these may come before every name: the network within a larger one.
    pub(super) prefixes: &'static [&'static str],
    /// The words before the number of a block.
    pub(super) blocks: &'static [&'static str],
    /// Names behind the number of a block.
    pub(super) inside: &'static [Rule],
    /// All others.
    pub(super) outside: &'static [Rule],
    /// Beginnings of names that the network has no use for.
    pub(super) dropped: &'static [&'static str],
    /// Whether the head's weight lies the other way round than a linear layer's.
    pub turns_projection: bool,
    /// Whether positions are sines and cosines of the patch's number, for which there is no tensor.
    pub waves: bool,
    /// Whose own names they are, of networks about which tensors say more than a config.
    pub autoencoder: Option<Autoencoder>,
    /// Whether a patch is a row of pixels with their channels last, and positions are a table with two sides or the sum of two: timm's
    /// `NaFlexVit`.
    pub naflex: bool,
}

/// A tensor of the checkpoint, or a stretch of it.
#[derive(Debug, PartialEq)]
pub(in crate::files) struct Source {
    /// Its name there.
    pub name: String,
    /// Which of its rows.
    pub part: Part,
    /// Zeros of its shape instead of its values.
    pub zeros: bool,
}

impl Layout {
    /// The tensors that each of timm's is put together from, in order. A name without a rule is timm's already, or
    /// nobody's, which the check of the weights will say.
    ///
    /// # Errors
    /// [`Error::Weight`] where two tensors claim the same place.
    pub fn assemble<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, Vec<Source>>> {
        let mut all: BTreeMap<String, Vec<Source>> = BTreeMap::new();
        for name in names {
            for (target, part) in self.targets(name) {
                let parts = all.entry(target).or_default();
                match parts.binary_search_by_key(&part.order(), |other| other.part.order()) {
                    Ok(place) => {
                        let why = format!("means the same as `{}`", parts[place].name);
                        return Err(Error::Weight { name: name.into(), why });
                    }
                    Err(place) => parts.insert(place, Source { name: name.into(), part, zeros: false }),
                }
            }
        }
        // Some attention has no bias for its keys.
        for (_, parts) in all.iter_mut().filter(|(target, _)| target.ends_with("attn.qkv.bias")) {
            if let [q @ Source { part: Nth(0), .. }, Source { part: Nth(2), .. }] = &parts[..] {
                let k = Source { name: q.name.clone(), zeros: true, ..*q };
                parts.insert(1, k);
            }
        }
        Ok(all)
    }

    /// What the checkpoint would call one of timm's tensors, where that is something else.
    pub fn original(&self, name: &str) -> Option<String> {
        let block = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
        let (place, rest, rules) = match block {
            Some((number, rest)) => (format!("{}{number}.", self.blocks[0]), rest, self.inside),
            None => (String::new(), name, self.outside),
        };
        let (begin, to, _) = rules.iter().find(|(_, to, _)| rest.starts_with(to))?;
        Some(format!("{place}{begin}{}", &rest[to.len()..])).filter(|original| original != name)
    }

    /// The tensors that one of the checkpoint becomes: none of timm's, one, or several.
    fn targets(&self, name: &str) -> Vec<(String, Part)> {
        let inner = self.prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        // Swin's and its like's: the place in a table for each pair of patches, which follows from the grid.
        let is_index = inner.ends_with("relative_position_index");
        if is_index || self.dropped.iter().any(|dropped| inner.starts_with(dropped)) {
            return Vec::new();
        }
        let block = self.blocks.iter().find_map(|stem| inner.strip_prefix(stem)?.split_once('.'));
        let (place, rest, rules) = match block {
            Some((number, rest)) => (format!("blocks.{number}."), rest, self.inside),
            None => (String::new(), inner, self.outside),
        };
        let Some(&(begin, ..)) = rules.iter().find(|(begin, ..)| rest.starts_with(begin)) else {
            return vec![(inner.to_owned(), Whole)];
        };
        let same = rules.iter().filter(|(other, ..)| *other == begin);
        same.map(|(_, to, part)| (format!("{place}{to}{}", &rest[begin.len()..]), *part)).collect()
    }
}
