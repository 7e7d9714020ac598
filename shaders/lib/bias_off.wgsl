// There is no bias.
const HAS_BIAS: bool = false;
