// There is no residual.
const HAS_RESIDUAL: bool = false;
