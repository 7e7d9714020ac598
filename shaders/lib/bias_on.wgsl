// A bias is added to the product.
const HAS_BIAS: bool = true;
