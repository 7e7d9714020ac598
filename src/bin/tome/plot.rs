//! A figure of points with their intervals, painted without any of the system's fonts.

use std::convert::Infallible;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_9X15;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle};
use embedded_graphics::text::{Alignment, Text};
use image::{Rgb, RgbImage};

/// Points and what their axes are.
pub struct Plot {
    pub title: String,
    pub x: &'static str,
    pub y: &'static str,
    pub dots: Vec<Dot>,
}

/// A point, and from where to where its interval is.
pub struct Dot {
    pub name: String,
    pub x: f64,
    pub y: f64,
    pub low: f64,
    pub high: f64,
}

const SIZE: [u32; 2] = [960, 640];
/// What is within the axes.
const LEFT: i32 = 90;
const RIGHT: i32 = 900;
const TOP: i32 = 100;
const BOTTOM: i32 = 570;
const INK: Rgb888 = Rgb888::new(30, 30, 30);
const GRID: Rgb888 = Rgb888::new(225, 225, 225);
const DOTS: Rgb888 = Rgb888::new(20, 90, 190);
/// Half the width of an interval's ends.
const END: i32 = 6;

/// Paints the figure. What is not finite is left out.
pub fn paint(plot: &Plot) -> RgbImage {
    let mut canvas = Canvas(RgbImage::from_pixel(SIZE[0], SIZE[1], Rgb([255; 3])));
    let dots: Vec<&Dot> = plot.dots.iter().filter(|dot| dot.x.is_finite() && dot.y.is_finite()).collect();
    let x = Axis::around(dots.iter().map(|dot| dot.x), [LEFT, RIGHT]);
    let y = Axis::around(dots.iter().flat_map(|dot| [dot.low, dot.y, dot.high]), [BOTTOM, TOP]);
    for (value, text) in x.ticks() {
        canvas.line([x.at(value), TOP], [x.at(value), BOTTOM], GRID, 1);
        canvas.text(&text, [x.at(value), BOTTOM + 22], Alignment::Center);
    }
    for (value, text) in y.ticks() {
        canvas.line([LEFT, y.at(value)], [RIGHT, y.at(value)], GRID, 1);
        canvas.text(&text, [LEFT - 8, y.at(value) + 4], Alignment::Right);
    }
    canvas.line([LEFT, BOTTOM], [RIGHT, BOTTOM], INK, 1);
    canvas.line([LEFT, BOTTOM], [LEFT, TOP], INK, 1);
    canvas.text(&plot.title, [LEFT, 22], Alignment::Left);
    canvas.text(plot.y, [LEFT, 46], Alignment::Left);
    canvas.text(plot.x, [(LEFT + RIGHT) / 2, BOTTOM + 50], Alignment::Center);

    for pair in dots.windows(2) {
        let [from, to] = [pair[0], pair[1]].map(|dot| [x.at(dot.x), y.at(dot.y)]);
        canvas.line(from, to, GRID, 2);
    }
    for (i, dot) in (0..).zip(dots) {
        let (across, low, high) = (x.at(dot.x), y.at(dot.low), y.at(dot.high));
        canvas.line([across, low], [across, high], DOTS, 2);
        for end in [low, high] {
            canvas.line([across - END, end], [across + END, end], DOTS, 2);
        }
        canvas.dot([across, y.at(dot.y)]);
        // Dots side by side have their names one above the other.
        canvas.text(&dot.name, [across + 10, y.at(dot.y) - 8 - 16 * (i % 2)], Alignment::Left);
    }
    canvas.0
}

/// Values along a side of the figure.
struct Axis {
    from: f64,
    step: f64,
    steps: u32,
    pixels: [i32; 2],
}

impl Axis {
    /// An axis that has room for values, with steps of 1, 2 or 5 times a power of ten.
    fn around(values: impl Iterator<Item = f64>, pixels: [i32; 2]) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        // Equal values have no scale of their own.
        let span = (high - low).max(1e-9 * high.abs().max(1e-3));
        let power = 10f64.powf((span / 5.0).log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| span / step <= 6.0);
        let step = step.unwrap_or(10.0 * power);
        let from = (low / step).floor() * step;
        // At least one step, also where the values are a tick.
        let steps = (((high - from) / step).ceil() as u32).max(1);
        Axis { from, step, steps, pixels }
    }

    /// Where a value is; what is not finite is at the end.
    fn at(&self, value: f64) -> i32 {
        let share = ((value - self.from) / (self.step * f64::from(self.steps))).clamp(0.0, 1.0);
        let [first, last] = self.pixels.map(f64::from);
        (first + share * (last - first)).round() as i32
    }

    fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        (0..=self.steps).map(move |i| {
            let value = self.from + f64::from(i) * self.step;
            (value, format!("{value:.digits$}"))
        })
    }
}

/// A picture that is drawn on.
struct Canvas(RgbImage);

impl Canvas {
    fn line(&mut self, [x, y]: [i32; 2], [to_x, to_y]: [i32; 2], colour: Rgb888, width: u32) {
        let line = Line::new(Point::new(x, y), Point::new(to_x, to_y));
        let Ok(()) = line.into_styled(PrimitiveStyle::with_stroke(colour, width)).draw(self);
    }

    fn dot(&mut self, [x, y]: [i32; 2]) {
        let circle = Circle::with_center(Point::new(x, y), 9);
        let Ok(()) = circle.into_styled(PrimitiveStyle::with_fill(DOTS)).draw(self);
    }

    fn text(&mut self, text: &str, [x, y]: [i32; 2], alignment: Alignment) {
        let style = MonoTextStyle::new(&FONT_9X15, INK);
        let Ok(_) = Text::with_alignment(text, Point::new(x, y), style, alignment).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            let place = (u32::try_from(x), u32::try_from(y));
            // What reaches beyond the edge is cut off.
            if let (Ok(x), Ok(y)) = place
                && let Some(pixel) = self.0.get_pixel_mut_checked(x, y)
            {
                *pixel = Rgb([colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        for values in [&[0.0, 1.0][..], &[98.2, 99.9], &[1.0, 1.93, 3.4], &[5.0], &[0.0], &[1e-7, 3e-6], &[]]
        {
            let axis = Axis::around(values.iter().copied(), [0, 100]);
            let ticks: Vec<f64> = axis.ticks().map(|(value, _)| value).collect();
            assert!((2..=8).contains(&ticks.len()), "{values:?}: {ticks:?}");
            for value in values {
                let slack = axis.step * 1e-6;
                assert!(
                    ticks[0] <= value + slack && ticks[ticks.len() - 1] >= value - slack,
                    "{values:?}: {ticks:?}"
                );
            }
            let texts: std::collections::BTreeSet<_> = axis.ticks().map(|(_, text)| text).collect();
            assert_eq!(texts.len(), ticks.len(), "{values:?}: {texts:?}");
        }
    }

    #[test]
    fn dots_are_where_their_values_are() {
        let dot = |x, y, low, high| Dot { name: "r 8".into(), x, y, low, high };
        let dots = vec![
            dot(1.0, 90.0, 80.0, 100.0),
            dot(2.0, 80.0, f64::NEG_INFINITY, 90.0),
            dot(f64::NAN, 0.0, 0.0, 0.0),
        ];
        let painted = paint(&Plot { title: "network".into(), x: "x", y: "y", dots });
        let colour = Rgb([20, 90, 190]);
        let middle = (TOP + BOTTOM) as u32 / 2;
        assert_eq!(*painted.get_pixel(LEFT as u32, middle), colour);
        assert_eq!(*painted.get_pixel(RIGHT as u32, BOTTOM as u32), colour);
        assert_ne!(*painted.get_pixel((LEFT + RIGHT) as u32 / 2, TOP as u32), colour);
    }
}
