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

/// Rows that lie so many elements apart, from an element on.
///
/// # Panics
/// Where the slice ends before the last row does.
pub fn strided<'a, T>(
    name: &str,
    slice: &'a [T],
    start: usize,
    [rows, width]: [usize; 2],
    stride: usize,
) -> &'a [T] {
    let end = rows.saturating_sub(1).saturating_mul(stride).saturating_add(start + width);
    slice.get(start..end).unwrap_or_else(|| panic!("{name} needs {end} elements and has {}", slice.len()))
}

/// Which tokens are sources and which destinations, as `find_matches` and `rank_matches` are told.
pub struct Split<'a> {
    list: Option<&'a [u32]>,
    tokens: u32,
    pub srcs: u32,
    stride: u32,
}

impl<'a> Split<'a> {
    /// Tokens that alternate where there is no list.
    ///
    /// # Panics
    /// Where there are no sources or more than tokens, or the list is too short.
    pub fn new(list: Option<&'a [u32]>, batch: u32, tokens: u32, srcs: u32, stride: u32) -> Self {
        let srcs = if list.is_some() { srcs } else { tokens.div_ceil(2) };
        assert!(srcs > 0 && srcs <= tokens, "{srcs} sources of {tokens} tokens");
        let need = elements(&[batch.saturating_sub(1), stride]) + tokens as usize;
        assert!(list.is_none_or(|list| list.len() >= need), "split needs {need} elements");
        Split { list, tokens, srcs, stride }
    }

    /// The sources and the destinations of an image.
    pub fn of(&self, item: usize) -> (Vec<u32>, Vec<u32>) {
        let Some(list) = self.list else {
            return ((0..self.tokens).step_by(2).collect(), (1..self.tokens).step_by(2).collect());
        };
        let list = &list[item * self.stride as usize..][..self.tokens as usize];
        let (sources, destinations) = list.split_at(self.srcs as usize);
        (sources.to_vec(), destinations.to_vec())
    }
}
