// Rows of up to 64 values are held in registers as this many vectors.
const WIDTH4: u32 = 16u;
