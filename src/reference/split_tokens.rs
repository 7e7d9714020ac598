use crate::kernels::split_tokens::{Params, SplitMode, pcg};

/// Who may merge into whom: the sources, then the destinations, both in order of position, the protected tokens being
/// the first sources (paper, section 3, the sets A and B, and Table 1's partitions; tomesd's grid for cells).
///
/// By energy (Tran et al., 2024, arXiv 2405.16148) the tokens that are not among the highest, twice as many
/// as there are destinations, are sources too, and come before those that merge.
///
/// `energy` and `split` are `[lists, tokens]`.
///
/// # Panics
/// Where energies are needed and absent, or one is NaN.
pub fn split_tokens(params: &Params, energy: Option<&[f32]>, split: &mut [u32]) {
    let tokens = params.tokens as usize;
    for list in 0..params.lists {
        if params.mode == SplitMode::Energy {
            let energy = &energy.expect("energies")[list as usize * tokens..][..tokens];
            split[list as usize * tokens..][..tokens].copy_from_slice(&by_energy(params, energy));
            continue;
        }
        let (destinations, sources): (Vec<u32>, Vec<u32>) =
            (0..params.tokens).partition(|&token| is_destination(params, list, token));
        assert_eq!(sources.len(), params.srcs as usize, "sources");
        split[list as usize * tokens..][..tokens].copy_from_slice(&[sources, destinations].concat());
    }
}

/// Protected tokens and those of low energy, those that merge, destinations; each in order of position.
fn by_energy(params: &Params, energy: &[f32]) -> Vec<u32> {
    let &Params { tokens, protect, srcs, .. } = params;
    let mut order: Vec<u32> = (protect..tokens).collect();
    // A stable sort: equal energies keep the order of their tokens.
    let of = |token: u32| energy[token as usize];
    order.sort_by(|&a, &b| of(b).partial_cmp(&of(a)).expect("an energy is NaN"));
    let (high, low) = order.split_at(2 * (tokens - srcs) as usize);
    let mut front: Vec<u32> = (0..protect).chain(low.iter().copied()).collect();
    let mut merge: Vec<u32> = high.iter().copied().step_by(2).collect();
    let mut destinations: Vec<u32> = high.iter().copied().skip(1).step_by(2).collect();
    for tokens in [&mut front, &mut merge, &mut destinations] {
        tokens.sort();
    }
    [front, merge, destinations].concat()
}

fn is_destination(params: &Params, list: u32, token: u32) -> bool {
    let &Params {
        tokens,
        protect,
        srcs,
        mode,
        columns,
        cell_height,
        cell_width,
        place,
        seed,
        first_list,
        ..
    } = params;
    if token < protect {
        return false;
    }
    if mode == SplitMode::First {
        return token >= srcs;
    }
    if mode == SplitMode::Random {
        // A shuffle: tokens in the order of their hashes, no two of which are equal.
        let hash = |token: u32| pcg(token ^ pcg((first_list + list) ^ pcg(seed)));
        let before = (protect..tokens).filter(|&other| hash(other) < hash(token)).count() as u32;
        return protect + before >= srcs;
    }
    // The unprotected tokens are a grid; each whole cell of it has one destination.
    let [row, column] = [(token - protect) / columns, (token - protect) % columns];
    let [cell_rows, cell_columns] = [(tokens - protect) / columns / cell_height, columns / cell_width];
    let [cell_row, cell_column] = [row / cell_height, column / cell_width];
    let cell = cell_row * cell_columns + cell_column;
    let place = if mode == SplitMode::RandomCells {
        pcg(cell ^ pcg(seed)) % (cell_height * cell_width)
    } else {
        place
    };
    let whole = cell_row < cell_rows && cell_column < cell_columns;
    whole && row % cell_height * cell_width + column % cell_width == place
}

/// The sources and the destinations of an image. Without a list tokens alternate.
pub(super) fn sides(
    split: Option<&[u32]>,
    item: usize,
    tokens: u32,
    srcs: u32,
    stride: u32,
) -> (Vec<usize>, Vec<usize>) {
    let tokens = tokens as usize;
    let Some(split) = split else {
        return ((0..tokens).step_by(2).collect(), (1..tokens).step_by(2).collect());
    };
    let mut list = split[item * stride as usize..][..tokens].iter().map(|&token| token as usize);
    (list.by_ref().take(srcs as usize).collect(), list.collect())
}
