// There is no scale.
const HAS_SCALE: bool = false;
