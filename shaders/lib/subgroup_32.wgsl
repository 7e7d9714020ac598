// Lanes of a subgroup.
const SUBGROUP: u32 = 32u;
