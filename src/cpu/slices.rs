//! Slices against the shapes that `Params` give them.

/// The product of dimensions.
///
/// # Panics
/// Where it does not fit in memory's address range.
pub fn elements(dimensions: &[u32]) -> usize {
    let product = dimensions.iter().try_fold(1usize, |all, &d| all.checked_mul(d as usize));
    product.unwrap_or_else(|| panic!("{dimensions:?} has too many elements"))
}

/// The first elements of a slice, as many as the dimensions ask for.
///
/// # Panics
/// Where there are fewer.
pub fn part<'a, T>(name: &str, slice: &'a [T], dimensions: &[u32]) -> &'a [T] {
    let (need, have) = (elements(dimensions), slice.len());
    slice.get(..need).unwrap_or_else(|| panic!("{name} {dimensions:?} needs {need} elements and has {have}"))
}

/// As [`part`], to write to.
///
/// # Panics
/// Where there are fewer.
pub fn part_mut<'a, T>(name: &str, slice: &'a mut [T], dimensions: &[u32]) -> &'a mut [T] {
    let (need, have) = (elements(dimensions), slice.len());
    slice
        .get_mut(..need)
        .unwrap_or_else(|| panic!("{name} {dimensions:?} needs {need} elements and has {have}"))
}
