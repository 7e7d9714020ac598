// Rows of up to 16 values are held in registers as this many vectors.
const WIDTH4: u32 = 4u;
