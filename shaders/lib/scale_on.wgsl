// The product is scaled, by column.
const HAS_SCALE: bool = true;
