use super::slices::{part, part_mut};
use crate::kernels::split_tokens::{Params, SplitMode, pcg};

/// A list of who may merge into whom: the sources, then the destinations, both in order of position, the protected
/// tokens being the first sources, and behind them those that are held by their energy.
///
/// # Panics
/// Where [`Params::check`] finds fault, energies are needed and absent, or a slice is too short.
pub fn split_tokens(params: &Params, energy: Option<&[f32]>, split: &mut [u32]) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { lists, tokens, protect, srcs, mode, seed, first_list, .. } = params;
    let &Params { columns, cell_height, cell_width, place, .. } = params;
    let split = part_mut("split", split, &[lists, tokens]);

    let energy = energy.map(|energy| part("energy", energy, &[lists, tokens]));
    let n = tokens as usize;

    for (list, split) in split.chunks_exact_mut(n).enumerate() {
        // 0 for what comes first, 1 for what merges by its energy, 2 for a destination.
        let mut kind = vec![0; n];
        match mode {
            SplitMode::Energy => {
                let energy =
                    &energy.unwrap_or_else(|| panic!("an order by energy needs energies"))[list * n..][..n];
                let mut order: Vec<usize> = (protect as usize..n).collect();
                // -0 is 0; a stable sort, so that equal ones keep the order of their tokens.
                order.sort_by(|&a, &b| (energy[b] + 0.0).total_cmp(&(energy[a] + 0.0)));
                let high = order.iter().take(2 * (tokens - srcs) as usize);
                high.enumerate().for_each(|(place, &token)| kind[token] = 1 + place % 2);
            }
            SplitMode::First => kind[srcs as usize..].fill(2),
            SplitMode::Random => {
                // The sources have the lowest hashes; no two are equal.
                let salt = pcg((first_list + list as u32) ^ pcg(seed));
                let mut order: Vec<u32> = (protect..tokens).collect();
                order.sort_by_key(|token| pcg(token ^ salt));
                for token in &order[(srcs - protect) as usize..] {
                    kind[*token as usize] = 2;
                }
            }
            SplitMode::Cells | SplitMode::RandomCells => {
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
                    kind[(protect + row * columns + column) as usize] = 2;
                }
            }
        }
        split.iter_mut().zip(0..).for_each(|(entry, token)| *entry = token);
        // A stable sort: each kind stays in order of position.
        split.sort_by_key(|&token| kind[token as usize]);
    }
}
