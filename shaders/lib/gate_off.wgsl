// There is no gate.
const HAS_GATE: bool = false;
