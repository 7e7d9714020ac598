// Tiles of 128 x 128.
const ACROSS: u32 = 16u;
const SPAN: u32 = 8u;
// Vectors of four inner values in a slab.
const SLAB: u32 = 2u;
