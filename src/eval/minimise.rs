//! The least value of a smooth function: L-BFGS, after Nocedal and Wright, Numerical Optimization, algorithm 7.5.

use std::collections::VecDeque;

/// Steps whose curvature is remembered.
const REMEMBERED: usize = 10;
/// How often a step is halved before nothing lower is taken to be in its direction.
const HALVINGS: usize = 30;

/// Where a function is least, from `x` on: in at most `steps`, and as soon as no part of the gradient is above `flat`. The
/// function gives its value and its gradient.
pub(super) fn minimise(
    mut x: Vec<f64>,
    steps: usize,
    flat: f64,
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Vec<f64> {
    let (mut value, mut gradient) = function(&x);
    // Steps, what each changed of the gradient, and 1 / their product.
    let mut past: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    for _ in 0..steps {
        if gradient.iter().all(|part| part.abs() <= flat) {
            break;
        }
        let direction = downhill(&gradient, &past);
        let slope = dot(&gradient, &direction);
        // Nothing is known of the scale at first.
        let mut length = if past.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let lower = (0..HALVINGS).find_map(|_| {
            let to: Vec<f64> = x.iter().zip(&direction).map(|(x, part)| x + length * part).collect();
            let (lower, gradient) = function(&to);
            // Armijo's condition.
            let enough = lower <= value + 1e-4 * length * slope;
            length /= 2.0;
            enough.then_some((to, lower, gradient))
        });
        let Some((to, lower, changed)) = lower else { break };
        let step: Vec<f64> = to.iter().zip(&x).map(|(to, from)| to - from).collect();
        let change: Vec<f64> = changed.iter().zip(&gradient).map(|(to, from)| to - from).collect();
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change) {
            if past.len() == REMEMBERED {
                past.pop_front();
            }
            past.push_back((step, change, 1.0 / curvature));
        }
        (x, value, gradient) = (to, lower, changed);
    }
    x
}

/// Minus the gradient times what is known of the inverse curvature.
fn downhill(gradient: &[f64], past: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|part| -part).collect();
    let mut shares = Vec::with_capacity(past.len());
    for (step, change, inverse) in past.iter().rev() {
        let share = inverse * dot(step, &direction);
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some((_, change, inverse)) = past.back() {
        let scale = 1.0 / (inverse * dot(change, change));
        direction.iter_mut().for_each(|part| *part *= scale);
    }
    for ((step, change, inverse), share) in past.iter().zip(shares.iter().rev()) {
        let back = inverse * dot(change, &direction);
        add(&mut direction, share - back, step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], times: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times * what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crooked_valley_is_followed_to_its_end() {
        // Rosenbrock's function, least at (1, 1).
        let valley = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
        };
        let least = minimise(vec![-1.2, 1.0], 100, 1e-9, valley);
        assert!(least.iter().all(|x| (x - 1.0).abs() < 1e-6), "{least:?}");
    }

    #[test]
    fn what_has_no_floor_ends() {
        assert!(minimise(vec![0.0], 5, 0.0, |x| (-x[0], vec![-1.0]))[0] > 1.0);
        assert!(minimise(vec![2.0], 5, 0.0, |_| (f64::NAN, vec![f64::NAN]))[0] == 2.0);
    }
}
