//! Kaldi's mel filter bank, as torchaudio's `compliance.kaldi.fbank` and transformers' `ASTFeatureExtractor` compute it, in f64.

use std::f64::consts::TAU;

use realfft::RealFftPlanner;

/// The lowest frequency that is heard, in Hz.
const LOWEST: f64 = 20.0;
/// The part of the sample before that is subtracted from each.
const PREEMPHASIS: f64 = 0.97;
/// The least energy.
const FLOOR: f64 = f32::EPSILON as f64;

/// Windows at a rate.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    /// Samples of one: 25 ms.
    pub length: usize,
    /// Samples from one to the next: 10 ms.
    pub shift: usize,
    rate: u32,
}

impl Windows {
    pub fn new(rate: u32) -> Self {
        Windows { length: (rate / 40) as usize, shift: (rate / 100) as usize, rate }
    }

    /// How many lie within so many samples.
    pub fn within(self, samples: usize) -> usize {
        samples.checked_sub(self.length).map_or(0, |rest| rest / self.shift + 1)
    }

    /// Samples of so many.
    pub fn samples(self, windows: usize) -> usize {
        self.length + windows.saturating_sub(1) * self.shift
    }

    /// The logarithms of the energies in `bands` bands of the first windows of a sound, each window's one after the other.
    pub fn energies(self, samples: &[f32], bands: usize, windows: usize) -> Vec<f32> {
        let padded = self.length.next_power_of_two();
        let (filters, hann) = (self.filters(bands, padded), self.hann());
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(padded);
        let (mut window, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
        let mut all = Vec::with_capacity(windows * bands);
        for start in (0..self.within(samples.len()).min(windows)).map(|number| number * self.shift) {
            let samples = samples[start..][..self.length].iter().map(|&sample| f64::from(sample));
            let mean = samples.clone().sum::<f64>() / self.length as f64;
            // The first sample counts as the one before itself.
            let mut before = None;
            for ((value, sample), shape) in window.iter_mut().zip(samples).zip(&hann) {
                let sample = sample - mean;
                *value = (sample - PREEMPHASIS * before.unwrap_or(sample)) * shape;
                before = Some(sample);
            }
            window[self.length..].fill(0.0);
            // It can fail for vectors of another length alone.
            fft.process(&mut window, &mut spectrum).expect("vectors of the transform's own length");
            for Filter { first, weights } in &filters {
                let powers = spectrum[*first..].iter().map(|value| value.norm_sqr());
                let energy: f64 = weights.iter().zip(powers).map(|(weight, power)| weight * power).sum();
                all.push(energy.max(FLOOR).ln() as f32);
            }
        }
        all
    }

    fn hann(self) -> Vec<f64> {
        let step = TAU / (self.length - 1) as f64;
        (0..self.length).map(|i| 0.5 - 0.5 * (step * i as f64).cos()).collect()
    }

    /// Triangles in mel, each from the middle of the one before to that of the one after.
    fn filters(self, bands: usize, padded: usize) -> Vec<Filter> {
        let mel = |frequency: f64| 1127.0 * (1.0 + frequency / 700.0).ln();
        let (low, high) = (mel(LOWEST), mel(f64::from(self.rate) / 2.0));
        let step = (high - low) / (bands + 1) as f64;
        let of_bin = |bin: usize| mel(f64::from(self.rate) / padded as f64 * bin as f64);
        let filter = |band: usize| {
            let left = low + band as f64 * step;
            // Half the rate itself belongs to no band.
            let weights = (0..padded / 2).map(|bin| {
                let up = (of_bin(bin) - left) / step;
                up.min(2.0 - up).max(0.0)
            });
            let weights: Vec<f64> = weights.collect();
            let first = weights.iter().position(|&weight| weight > 0.0).unwrap_or(0);
            let end = weights.iter().rposition(|&weight| weight > 0.0).map_or(0, |last| last + 1);
            Filter { first, weights: weights[first..end].to_vec() }
        };
        (0..bands).map(filter).collect()
    }
}

/// The weights of frequencies from one on.
struct Filter {
    first: usize,
    weights: Vec<f64>,
}
