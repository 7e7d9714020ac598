// Lanes of a subgroup.
const SUBGROUP: u32 = 64u;
