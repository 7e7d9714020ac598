/** Which patches are one token, and in which colours they are painted. */

/** The mean colour of each patch: `[rows * columns * 3]`, 0 to 255. */
export function patchColours({ data, width, height }, [rows, columns]) {
  const sums = new Float64Array(rows * columns * 4);
  for (let y = 0; y < height; y++) {
    const row = Math.min(rows - 1, Math.floor((y * rows) / height));
    for (let x = 0; x < width; x++) {
      const sum = 4 * (row * columns + Math.min(columns - 1, Math.floor((x * columns) / width)));
      const pixel = 4 * (y * width + x);
      sums[sum] += data[pixel];
      sums[sum + 1] += data[pixel + 1];
      sums[sum + 2] += data[pixel + 2];
      sums[sum + 3] += 1;
    }
  }
  const colours = new Float32Array(rows * columns * 3);
  for (let patch = 0; patch < rows * columns; patch++) {
    for (let channel = 0; channel < 3; channel++) colours[3 * patch + channel] = sums[4 * patch + channel] / sums[4 * patch + 3];
  }
  return colours;
}

/**
 * The groups of patches that became one token, by `source`: for each its patches, its mean colour and the colour of its outline,
 * which follows from its first patch, so that a group keeps it from r to r. `of` holds each patch's group.
 */
export function group(source, colours) {
  const groups = [];
  const byToken = new Map();
  const of = Array.from(source, (token, patch) => {
    let group = byToken.get(token);
    if (!group) {
      group = { patches: [], sum: [0, 0, 0], outline: outline(patch) };
      byToken.set(token, group);
      groups.push(group);
    }
    group.patches.push(patch);
    for (let channel = 0; channel < 3; channel++) group.sum[channel] += colours[3 * patch + channel];
    return group;
  });
  for (const group of groups) group.fill = `rgb(${group.sum.map((sum) => Math.round(sum / group.patches.length)).join(" ")})`;
  return { groups, of };
}

/** Multiples of the golden ratio spread over the colour circle without coming together: the colours of `tome visualize`. */
const outline = (patch) => `hsl(${((patch * 0.61803398875) % 1) * 360} 80% 62%)`;
