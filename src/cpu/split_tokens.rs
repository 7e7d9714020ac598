use super::slices::part_mut;
use crate::kernels::split_tokens::{Params, SplitMode, pcg};

/// A list of who may merge into whom: the sources, then the destinations, both in order of position, the protected
/// tokens being the first sources.
///
/// # Panics
/// Where [`Params::check`] finds fault, or the slice is too short.
pub fn split_tokens(params: &Params, split: &mut [u32]) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { lists, tokens, protect, srcs, mode, seed, first_list, .. } = params;
    let &Params { columns, cell_height, cell_width, place, .. } = params;
    let split = part_mut("split", split, &[lists, tokens]);

    for (list, split) in split.chunks_exact_mut(tokens as usize).enumerate() {
        let mut destination = vec![false; tokens as usize];
        match mode {
            SplitMode::First => destination[srcs as usize..].fill(true),
            SplitMode::Random => {
                // The sources have the lowest hashes; no two are equal.
                let salt = pcg((first_list + list as u32) ^ pcg(seed));
                let mut order: Vec<u32> = (protect..tokens).collect();
                order.sort_by_key(|token| pcg(token ^ salt));
                for token in &order[(srcs - protect) as usize..] {
                    destination[*token as usize] = true;
                }
            }
            _ => {
                // Only whole cells have a destination.
                let [cell_rows, cell_columns] =
                    [(tokens - protect) / columns / cell_height, columns / cell_width];
                for cell in 0..cell_rows * cell_columns {
                    let place = match mode {
                        SplitMode::RandomCells => pcg(cell ^ pcg(seed)) % (cell_height * cell_width),
                        _ => place,
                    };
                    let row = cell / cell_columns * cell_height + place / cell_width;
                    let column = cell % cell_columns * cell_width + place % cell_width;
                    destination[(protect + row * columns + column) as usize] = true;
                }
            }
        }
        split.iter_mut().zip(0..).for_each(|(entry, token)| *entry = token);
        // A stable sort: both kinds stay in order of position.
        split.sort_by_key(|&token| destination[token as usize]);
    }
}
