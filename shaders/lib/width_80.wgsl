// Rows of up to 80 values are held in registers as this many vectors.
const WIDTH4: u32 = 20u;
