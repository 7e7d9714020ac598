//! Schedules of few parameters.

/// How r goes over the blocks, whatever the level: a straight line, with blocks at either end that merge nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// From -1, where r falls to nothing, to 1, where it rises from nothing.
    pub slope: f64,
    /// Blocks in front that merge nothing.
    pub skip: usize,
    /// Blocks at the end that merge nothing.
    pub rest: usize,
}

impl Shape {
    /// The same r in every block.
    pub const CONSTANT: Shape = Shape { slope: 0.0, skip: 0, rest: 0 };
    /// The paper's decreasing schedule.
    pub const FALLING: Shape = Shape { slope: -1.0, ..Shape::CONSTANT };
    /// The other way round.
    pub const RISING: Shape = Shape { slope: 1.0, ..Shape::CONSTANT };

    /// Those that a search begins with.
    pub fn all(depth: usize) -> Vec<Shape> {
        let mut all = Vec::new();
        for skip in [0, 1, 2, 3] {
            for rest in [0, 1] {
                if skip + rest < depth {
                    let slopes = [-0.5, -0.25, 0.0, 0.25, 0.5, 1.0];
                    all.extend(slopes.map(|slope| Shape { slope, skip, rest }));
                }
            }
        }
        all
    }

    /// r for each block, around `level` on average where any merges. Fractions are carried from block to block, so that any
    /// level can be had.
    pub fn list(&self, level: f64, depth: usize) -> Vec<u32> {
        let blocks = depth - self.skip - self.rest;
        let mut carried: f64 = 0.0;
        let mut list = vec![0; depth];
        for (i, r) in list[self.skip..depth - self.rest].iter_mut().enumerate() {
            let at = if blocks > 1 { 2.0 * i as f64 / (blocks - 1) as f64 - 1.0 } else { 0.0 };
            carried += (level * (1.0 + self.slope * at)).max(0.0);
            // What is a whole number but for rounding is one.
            let whole = (carried + 1e-9).floor();
            *r = whole as u32;
            carried -= whole;
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_level_can_be_had() {
        assert_eq!(Shape::CONSTANT.list(13.0, 4), [13, 13, 13, 13]);
        assert_eq!(Shape::CONSTANT.list(2.5, 4), [2, 3, 2, 3]);
        assert_eq!(Shape::FALLING.list(16.0, 5), [32, 24, 16, 8, 0]);
        assert_eq!(Shape::RISING.list(16.0, 5), [0, 8, 16, 24, 32]);
        assert_eq!(Shape { slope: 0.0, skip: 1, rest: 1 }.list(7.0, 4), [0, 7, 7, 0]);
        assert_eq!(Shape { slope: 0.5, skip: 0, rest: 0 }.list(4.0, 1), [4]);
    }
}
