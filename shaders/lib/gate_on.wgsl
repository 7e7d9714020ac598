// The product is multiplied by a gate.
const HAS_GATE: bool = true;
