//! Pictures on their way through a network in several ways at once, and what is known of all so far.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use serde_json::json;
use tome_wgpu::eval::{Compared, Probe, Summary, Tally, compare, neighbours};
use tome_wgpu::vit::{self, Options, Outputs, Want};
use tome_wgpu::{Session, Stream};

use crate::classes::Classes;
use crate::inputs::{self, Images};
use crate::labels::Labelled;
use crate::model;
use crate::state::{Row, State};
use crate::text::shown;

/// Pictures, the ways that a network sees them, and what comes out.
pub struct Evaluation<'a> {
    pub session: &'a Session,
    paths: &'a [PathBuf],
    /// The first merges nothing.
    pub ways: Vec<Options>,
    want: Want,
    state: Option<State>,
    pub so_far: SoFar,
}

/// What is known of the pictures so far.
pub struct SoFar {
    /// One for each way.
    pub summaries: Vec<Summary>,
    /// Pictures that could not be read, and why.
    pub unreadable: Vec<(String, String)>,
    /// Pictures that are done, and those of them that an earlier run did.
    pub done: usize,
    pub resumed: usize,
    /// What pictures are called: their paths in the images' folder.
    names: Vec<String>,
    /// What pictures show: the network's class, or where features are judged the label's own number.
    labels: Vec<Option<usize>>,
    judges: bool,
    /// Where features are judged, `[images, ways, channels]` and `[images]`.
    features: Vec<f32>,
    shown: Vec<usize>,
}

/// How features tell labels apart.
pub struct Judged {
    pub neighbours: Tally,
    /// By a probe that was fitted without merging.
    pub probe: Tally,
    /// By one that was fitted with the same merging.
    pub refitted: Tally,
}

impl<'a> Evaluation<'a> {
    /// `classes` are the network's that labels are; without them features are judged by the labels.
    pub fn new(
        session: &'a Session,
        labelled: &'a Labelled,
        folder: &Path,
        classes: Option<&Classes>,
        ways: Vec<Options>,
        want: Want,
    ) -> Self {
        let name = |path: &PathBuf| shown(path.strip_prefix(folder).unwrap_or(path));
        let class = |label: &String| match classes {
            Some(classes) => classes.of.get(label).copied(),
            None => labelled.classes.binary_search(label).ok(),
        };
        let labels = match &labelled.names {
            Some(labels) => labels.iter().map(class).collect(),
            None => vec![None; labelled.paths.len()],
        };
        let so_far = SoFar {
            summaries: vec![Summary::default(); ways.len()],
            unreadable: Vec::new(),
            done: 0,
            resumed: 0,
            names: labelled.paths.iter().map(name).collect(),
            labels,
            judges: labelled.names.is_some() && classes.is_none(),
            features: Vec::new(),
            shown: Vec::new(),
        };
        Evaluation { session, paths: &labelled.paths, ways, want, state: None, so_far }
    }

    /// Goes on from a file where it exists, and keeps there what comes.
    pub fn resume(&mut self, path: &Path) -> Result<()> {
        let config = self.session.config();
        let device = self.session.device();
        // The same network gives the same for the same picture, whatever it is called.
        let picture: Vec<u8> = (0..config.image_values()).map(|i| (i * 37 % 251) as u8).collect();
        let floats: Vec<f32> = picture.iter().map(|&value| f32::from(value) / 255.0).collect();
        let packed = config.packed.map(|packed| config.pack(&floats, [1, packed.patches])).transpose()?;
        let images: vit::Images<'_> = match (&packed, &config.sound) {
            (Some(packed), _) => packed.into(),
            (None, Some(_)) => (&floats).into(),
            (None, None) => (&picture).into(),
        };
        let logits = self.session.run(images, &self.ways[0], Want::LOGITS)?.logits;
        let fingerprint: Vec<f32> = logits.iter().step_by(logits.len().div_ceil(16)).copied().collect();
        let ways: Vec<String> = self.ways.iter().map(|way| format!("{way:?}")).collect();
        let header = json!({
            "tome_eval": 1,
            "network": config.name,
            "pictures": model::described(config).to_string(),
            "ways": ways,
            "want": self.want.outputs().map(|output| output.name()).collect::<Vec<_>>(),
            "judges_features": self.so_far.judges,
            "device": device.name,
            "precision": device.precision.to_string(),
            "fingerprint": fingerprint,
        });
        let width = self.so_far.judges.then(|| self.ways.len() * config.embed_dim as usize);
        let so_far = &mut self.so_far;
        let (state, features) = State::open(path, &header, width, |row| so_far.take(row, path))?;
        so_far.features = features;
        so_far.resumed = so_far.done;
        if so_far.done > 0 {
            tracing::info!(
                "{}: {} images are done already; speed is measured anew",
                shown(path),
                so_far.done
            );
        }
        self.state = Some(state);
        Ok(())
    }

    /// The pictures that are left.
    pub fn run(&mut self, batch: usize, progress: &ProgressBar) -> Result<()> {
        progress.set_position(self.so_far.done as u64);
        progress.reset_eta();
        let mut streams: Vec<Stream> =
            self.ways.iter().map(|way| self.session.stream(way, self.want)).collect();
        let read = |start: usize| {
            let range = start..self.paths.len().min(start + batch);
            let images = inputs::load_readable(&self.paths[range.clone()], self.session.config());
            (range, images)
        };
        let mut next = read(self.so_far.done);
        while !next.0.is_empty() {
            let (range, images) = next;
            for stream in &mut streams {
                stream.push(images.values())?;
            }
            // While the device computes.
            next = read(range.end);
            let mut outputs = Vec::with_capacity(streams.len());
            for stream in &mut streams {
                outputs.extend(stream.pop()?);
            }
            self.keep(range.clone(), &images, &outputs)?;
            progress.inc(range.len() as u64);
        }
        Ok(())
    }

    /// Takes the results of a batch.
    fn keep(&mut self, range: Range<usize>, images: &Images, outputs: &[Outputs]) -> Result<()> {
        let so_far = &mut self.so_far;
        let config = self.session.config();
        let nothing = vec![None; range.len()];
        let labels = if so_far.judges { &nothing } else { &so_far.labels[range.clone()] };
        let compared = outputs.iter().map(|other| compare(config, &outputs[0], other, labels));
        let compared: Vec<Vec<Compared>> = compared.collect::<tome_wgpu::Result<_>>()?;
        let channels = config.embed_dim as usize;
        for (place, at) in range.enumerate() {
            let error = images.unreadable.iter().find(|(unreadable, _)| *unreadable == place);
            let row = Row {
                path: so_far.names[at].clone(),
                label: so_far.labels[at],
                compared: match error {
                    Some((_, why)) => Err(why.clone()),
                    None => Ok(compared.iter().map(|way| way[place].clone()).collect()),
                },
            };
            let first = so_far.features.len();
            if so_far.judges && error.is_none() {
                for way in outputs {
                    so_far.features.extend_from_slice(&way.features[place * channels..][..channels]);
                }
            }
            if let Some(state) = &mut self.state {
                state.append(&row, &so_far.features[first..])?;
            }
            so_far.add(row);
        }
        Ok(())
    }

    /// How the features of each way tell the labels apart; none where that is not asked for.
    pub fn judge(&self) -> Result<Option<Vec<Judged>>> {
        let SoFar { judges, features, shown: labels, .. } = &self.so_far;
        if !judges {
            return Ok(None);
        }
        let channels = self.session.config().embed_dim as usize;
        let ways = self.ways.len();
        let of_way = |way: usize| -> Vec<f32> {
            let rows = features.chunks_exact(channels).skip(way).step_by(ways);
            rows.flatten().copied().collect()
        };
        let right = |best: Vec<Option<usize>>| -> Vec<bool> {
            best.iter().zip(labels).map(|(best, label)| *best == Some(*label)).collect()
        };
        let mut count = vec![0; labels.iter().max().map_or(0, |most| most + 1)];
        labels.iter().for_each(|&label| count[label] += 1);
        let alone = count.iter().filter(|&&count| count == 1).count();
        if alone > 0 {
            tracing::warn!("{alone} labels have one picture each, which cannot be told from other pictures");
        }
        let plain = of_way(0);
        let probe = Probe::fit(&plain, labels, channels)?;
        let reference = [right(neighbours(&plain, labels, channels)?), right(probe.best(&plain)?)];
        let mut all = Vec::new();
        for way in 0..ways {
            let merged = of_way(way);
            let (near, own) = match way {
                0 => (reference[0].clone(), reference[1].clone()),
                _ => (
                    right(neighbours(&merged, labels, channels)?),
                    right(Probe::fit(&merged, labels, channels)?.best(&merged)?),
                ),
            };
            let tally = |plain: &[bool], other: &[bool]| {
                let mut tally = Tally::default();
                plain.iter().zip(other).for_each(|(&plain, &other)| tally.push(plain, other));
                tally
            };
            all.push(Judged {
                neighbours: tally(&reference[0], &near),
                probe: tally(&reference[1], &right(probe.best(&merged)?)),
                refitted: tally(&reference[1], &own),
            });
        }
        Ok(Some(all))
    }
}

impl SoFar {
    /// A row of an earlier run, which must be the next picture's.
    fn take(&mut self, row: Row, state: &Path) -> Result<()> {
        let (number, ways) = (self.done + 1, self.summaries.len());
        let (Some(name), Some(label)) = (self.names.get(self.done), self.labels.get(self.done)) else {
            bail!("{}: has more images than there are pictures; give another file", shown(state));
        };
        if row.path != *name || row.label != *label {
            let label =
                |label: Option<usize>| label.map_or("no label".into(), |label| format!("label {label}"));
            bail!(
                "{}: is of other pictures: number {number} is {name} with {} now and was {} with {}. Give the same arguments \
                 or another file",
                shown(state),
                label(self.labels[self.done]),
                row.path,
                label(row.label)
            );
        }
        if let Ok(compared) = &row.compared
            && compared.len() != ways
        {
            bail!("{}: number {number} has {} results for {ways} schedules", shown(state), compared.len());
        }
        self.add(row);
        Ok(())
    }

    fn add(&mut self, row: Row) {
        match row.compared {
            Ok(compared) => {
                for (summary, other) in self.summaries.iter_mut().zip(&compared) {
                    summary.push(&compared[0], other);
                }
                if let (true, Some(label)) = (self.judges, row.label) {
                    self.shown.push(label);
                }
            }
            Err(why) => {
                // Errors of files name them already.
                tracing::warn!("left out: {why}");
                self.unreadable.push((row.path, why));
            }
        }
        self.done += 1;
    }
}
