// Rows of up to 128 values are held in registers as this many vectors.
const WIDTH4: u32 = 32u;
