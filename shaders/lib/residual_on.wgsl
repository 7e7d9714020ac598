// The product is added to a residual.
const HAS_RESIDUAL: bool = true;
