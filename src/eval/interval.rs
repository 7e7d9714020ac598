//! How sure a figure is that comes from some of all images there could be: 95 % intervals.

/// An estimate and the ends of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The figure of the images at hand.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A share of images, such as an accuracy: Wilson's interval, which keeps within 0 and 1 and has a width also where all
/// or none are right. NaN of no images.
pub fn binomial(right: usize, of: usize) -> Interval {
    let n = of as f64;
    let share = right as f64 / n;
    let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Rounding must not part an end from the estimate that it is.
    let low = if right == 0 { share } else { centre - half };
    let high = if right == of { share } else { centre + half };
    Interval { estimate: share, low, high }
}

/// The difference of two shares of the same images, of which the second has right so many that the first has wrong
/// (`gained`) and wrong so many that the first has right (`lost`): the interval of Agresti and Min (2005), which adds
/// half an image to each of the four cases and so has a width also where nothing differs. NaN of no images.
pub fn matched(gained: usize, lost: usize, of: usize) -> Interval {
    let (gained, lost, n) = (gained as f64, lost as f64, of as f64);
    let more = n + 2.0;
    let centre = (gained - lost) / more;
    let half = Z / more * (gained + lost + 1.0 - (gained - lost).powi(2) / more).sqrt();
    let estimate = (gained - lost) / n;
    // NaN of the estimate goes into both ends.
    let unknown = estimate * 0.0;
    Interval { estimate, low: (centre - half).max(-1.0) + unknown, high: (centre + half).min(1.0) + unknown }
}

/// The mean of one value per image, such as the difference of two results for it, with Student's t interval: right for
/// values that are about normal or many. One value has no interval (from -∞ to ∞), none has no mean; NaN gives NaN.
pub fn paired(differences: &[f64]) -> Interval {
    let mut mean = Mean::default();
    differences.iter().for_each(|&value| mean.push(value));
    mean.interval().unwrap_or(Interval { estimate: f64::NAN, low: f64::NAN, high: f64::NAN })
}

/// A mean on its way: [`paired`] of values that come one by one and are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    count: usize,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl Mean {
    /// Adds a value.
    pub fn push(&mut self, value: f64) {
        // Welford's way, which loses no digits to a large mean.
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// The mean as [`paired`] gives it; none of no values.
    pub fn interval(&self) -> Option<Interval> {
        let n = self.count as f64;
        let half = match self.count {
            0 => return None,
            // NaN stays.
            1 => f64::INFINITY + self.mean * 0.0,
            count => student(count - 1) * (self.squares / (n - 1.0) / n).sqrt(),
        };
        Some(Interval { estimate: self.mean, low: self.mean - half, high: self.mean + half })
    }
}

/// Images that are right, beside how the reference does on the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Images.
    pub of: usize,
    /// Those that are right.
    pub right: usize,
    /// Those of them that the reference has wrong.
    pub gained: usize,
    /// Those that are wrong and the reference has right.
    pub lost: usize,
}

impl Tally {
    /// Adds an image.
    pub fn push(&mut self, reference: bool, right: bool) {
        self.of += 1;
        self.right += usize::from(right);
        self.gained += usize::from(right && !reference);
        self.lost += usize::from(reference && !right);
    }

    /// The share that is right, see [`binomial`]; none of no images.
    pub fn share(&self) -> Option<Interval> {
        (self.of > 0).then(|| binomial(self.right, self.of))
    }

    /// How much larger it is than the reference's, see [`matched`]; none of no images.
    pub fn change(&self) -> Option<Interval> {
        (self.of > 0).then(|| matched(self.gained, self.lost, self.of))
    }
}

/// The two-sided 95 % quantile of Student's t.
fn student(freedom: usize) -> f64 {
    /// From here on the series is right to eight digits.
    const MANY: usize = 100;
    match freedom {
        // Fisher's and Cornish's series around the normal distribution.
        MANY.. => {
            let n = freedom as f64;
            let z = |power| Z.powi(power);
            Z + (z(3) + Z) / (4.0 * n)
                + (5.0 * z(5) + 16.0 * z(3) + 3.0 * Z) / (96.0 * n.powi(2))
                + (3.0 * z(7) + 19.0 * z(5) + 17.0 * z(3) - 15.0 * Z) / (384.0 * n.powi(3))
        }
        // Between normal and Cauchy.
        _ => {
            let (mut low, mut high) = (Z, 13.0);
            while high - low > 1e-12 {
                let middle = (low + high) / 2.0;
                match within(middle, freedom) < 0.95 {
                    true => low = middle,
                    false => high = middle,
                }
            }
            (low + high) / 2.0
        }
    }
}

/// The probability of Student's t between -t and t: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4.
fn within(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2;
    let mut term = if odd == 1 { cosine } else { 1.0 };
    let mut sum = 0.0;
    // Powers of the cosine from `odd` to freedom - 2.
    for power in (odd..freedom.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
    }
    match odd {
        1 => (angle + sine * sum) * std::f64::consts::FRAC_2_PI,
        _ => sine * sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, wanted: f64, within: f64) {
        assert!((got - wanted).abs() <= within, "{got} instead of {wanted}");
    }

    /// Tables of Student's t, such as NIST's, to their three digits.
    #[test]
    fn student_is_that_of_tables() {
        for (freedom, wanted) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (5, 2.571),
            (9, 2.262),
            (10, 2.228),
            (29, 2.045),
            (30, 2.042),
            (60, 2.000),
            (99, 1.984),
            (100, 1.984),
            (1000, 1.962),
        ] {
            near(student(freedom), wanted, 5.1e-4);
        }
        near(student(1), (0.475 * std::f64::consts::PI).tan(), 1e-10);
        // Where the two ways meet they agree.
        let between = (student(99) + student(101)) / 2.0;
        near(student(100), between, 1e-5);
        // Eight digits of t, whose density is about 0.1 there.
        near(within(student(100), 100), 0.95, 5e-9);
        near(within(student(101), 101), 0.95, 5e-9);
        near(student(10_000_000), Z, 1e-6);
    }

    #[test]
    fn wilson_is_that_of_the_literature() {
        // Newcombe (1998), table I, method 3.
        for (right, of, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = binomial(right, of);
            near(interval.estimate, right as f64 / of as f64, 0.0);
            near(interval.low, low, 5.1e-5);
            near(interval.high, high, 5.1e-5);
        }
        assert_eq!(binomial(7, 7).high, 1.0);
        assert!(binomial(7, 7).low < 0.7);
        assert!(binomial(0, 0).low.is_nan() && binomial(0, 0).high.is_nan());
    }

    #[test]
    fn matched_pairs_have_a_width_and_a_sign() {
        let none = matched(0, 0, 100);
        assert!(none.estimate == 0.0 && none.low < -0.01 && none.high > 0.01, "{none:?}");
        let worse = matched(10, 40, 1000);
        near(worse.estimate, -0.03, 1e-12);
        assert!(worse.high < 0.0 && worse.low > -0.05, "{worse:?}");
        assert_eq!(matched(40, 10, 1000).low, -worse.high);
        assert!(matched(0, 0, 0).low.is_nan() && matched(0, 0, 0).high.is_nan());
    }

    #[test]
    fn paired_is_the_mean_with_its_interval() {
        // Student's own sleep data: extra hours of two drugs, ten patients; t.test in R gives 0.70 to 2.46.
        let interval = paired(&[1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]);
        near(interval.estimate, 1.58, 1e-12);
        near(interval.low, 0.700_114_2, 1e-6);
        near(interval.high, 2.459_885_8, 1e-6);
        let far: Vec<f64> = [1.0, 2.0, 3.0].map(|value| value + 1e9).to_vec();
        near(paired(&far).high - 1e9, 2.0 + student(2) / 3f64.sqrt(), 1e-6);
        assert_eq!(paired(&[0.25; 9]), Interval { estimate: 0.25, low: 0.25, high: 0.25 });
        assert_eq!(paired(&[3.0]).high, f64::INFINITY);
        assert!(paired(&[]).estimate.is_nan() && paired(&[1.0, f64::NAN]).low.is_nan());
        assert!(paired(&[f64::NAN]).high.is_nan());
    }
}
