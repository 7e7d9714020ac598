// Rows of up to 32 values are held in registers as this many vectors.
const WIDTH4: u32 = 8u;
