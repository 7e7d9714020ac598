/** What a module computes, picture by picture, in the package's types. */
import { TomeError } from "./errors.js";

const KNOWN = ["probabilities", "logits", "features", "source", "size"];

/** The module's results that what is wanted is made of. */
export function neededFor(want) {
  const unknown = Array.isArray(want) ? want.find((name) => !KNOWN.includes(name)) : want;
  if (unknown !== undefined) throw new TomeError("input", `want: "${unknown}" is none of ${KNOWN.join(", ")}`);
  const needed = want.map((name) => (name === "probabilities" ? "logits" : name));
  return [...new Set(needed)].join(",");
}

/** The results of a batch of so many pictures. */
export function resultsOf(outputs, batch, { want, top, about }) {
  const { config, scores } = about;
  const of = (values, image) => {
    const length = values.length / batch;
    return values.slice(image * length, (image + 1) * length);
  };
  return Array.from({ length: batch }, (_, image) => {
    const result = { top: [] };
    if (outputs.logits) {
      const logits = of(outputs.logits, image);
      const nan = logits.findIndex(Number.isNaN);
      if (nan >= 0) throw new TomeError("input", `picture ${image} gives NaN for class ${nan}`);
      if (want.includes("logits")) result.logits = logits;
      const probabilities = scores === "none" ? undefined : probabilitiesOf(logits, scores);
      if (probabilities) result.top = best(probabilities, top, config.labels);
      if (probabilities && want.includes("probabilities")) result.probabilities = probabilities;
    }
    if (outputs.features) result.features = of(outputs.features, image);
    if (outputs.source) result.source = of(outputs.source, image).slice(config.prefixTokens);
    // Where an image keeps fewer tokens than its batch has places for, what is behind them has no size.
    if (outputs.size) result.size = of(outputs.size, image).filter((size) => size > 0);
    return result;
  });
}

function probabilitiesOf(logits, scores) {
  if (scores === "sigmoid") return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  const highest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const shares = Float64Array.from(logits, (logit) => Math.exp(logit - highest));
  const total = shares.reduce((a, b) => a + b, 0);
  return Float32Array.from(shares, (share) => share / total);
}

function best(probabilities, count, labels) {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  return order.slice(0, count).map((index) => {
    return { index, label: labels[index] ?? String(index), probability: probabilities[index] };
  });
}
