// Tiles of 32 x 32.
const ACROSS: u32 = 8u;
const SPAN: u32 = 4u;
// Vectors of four inner values in a slab.
const SLAB: u32 = 4u;
