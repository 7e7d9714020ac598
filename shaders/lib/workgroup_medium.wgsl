// Tiles of 64 x 64.
const ACROSS: u32 = 16u;
const SPAN: u32 = 4u;
// Vectors of four inner values in a slab.
const SLAB: u32 = 4u;
