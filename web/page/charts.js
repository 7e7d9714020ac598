/** Small charts, drawn at the size that they have on the page. */

const SVG = "http://www.w3.org/2000/svg";

function add(parent, name, attributes, text) {
  const node = parent.appendChild(document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** An empty drawing as large as the element; `draw` is called again when that changes. */
function sized(svg, draw) {
  svg.draw = () => {
    const { clientWidth: width, clientHeight: height } = svg;
    if (!width) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    draw(width, height);
  };
  svg.watch ??= new ResizeObserver(() => svg.draw());
  svg.watch.observe(svg);
  svg.draw();
}

/** Tokens before the first block and after each. */
export function tokens(svg, { tokens: first, tokensPerBlock: after }) {
  const counts = [first, ...after];
  svg.setAttribute("aria-label", `Tokens: ${first} at first; after each block ${after.join(", ")}.`);
  sized(svg, (width, height) => {
    const [top, bottom] = [18, 16];
    const step = width / counts.length;
    const gap = Math.min(6, step * 0.2);
    counts.forEach((count, index) => {
      const tall = Math.max(1, ((height - top - bottom) * count) / first);
      const x = index * step;
      const bar = add(svg, "rect", { x: x + gap / 2, y: height - bottom - tall, width: step - gap, height: tall, rx: Math.min(3, step / 6), class: index ? "bar" : "bar first" });
      add(bar, "title", {}, index ? `after block ${index}: ${count} tokens` : `at first: ${count} tokens`);
      const often = Math.ceil(30 / step);
      const toLast = counts.length - 1 - index;
      if (toLast === 0 || (index % often === 0 && toLast >= often)) {
        const middle = { x: x + step / 2, "text-anchor": "middle" };
        add(svg, "text", { ...middle, y: height - bottom - tall - 5, class: "strong" }, count);
        add(svg, "text", { ...middle, y: height - 2 }, index || "in");
      }
    });
  });
}

/** Speed-up against r: measured as a line with points, promised as a dashed one. */
export function speed(svg, rows) {
  const said = rows.map((row) => `r = ${row.r}: ${times(row.speedup)} measured, ${times(row.promisedSpeedup)} promised`);
  svg.setAttribute("aria-label", `Speed-up against r. ${said.join("; ")}.`);
  sized(svg, (width, height) => {
    const [left, right, top, bottom] = [34, 12, 30, 20];
    const most = Math.max(1.5, ...rows.map((row) => Math.max(row.speedup, row.promisedSpeedup)));
    const least = Math.min(1, ...rows.map((row) => row.speedup));
    const floor = Math.floor(least * 2) / 2;
    const ceiling = Math.ceil(most * 2) / 2;
    const lastR = Math.max(1, rows.at(-1).r);
    const x = (r) => left + ((width - left - right) * r) / lastR;
    const y = (value) => height - bottom - ((height - top - bottom) * (value - floor)) / (ceiling - floor);
    const step = ceiling - floor > 3 ? 1 : 0.5;
    for (let value = floor; value <= ceiling; value += step) {
      add(svg, "line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" });
      add(svg, "text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, `${value}×`);
    }
    for (const row of rows) add(svg, "text", { x: x(row.r), y: height - 4, "text-anchor": "middle" }, row.r);
    const line = (of) => rows.map((row) => `${x(row.r)},${y(of(row))}`).join(" ");
    add(svg, "polyline", { points: line((row) => row.promisedSpeedup), class: "promised" });
    add(svg, "polyline", { points: line((row) => row.speedup), class: "measured" });
    for (const row of rows) {
      const point = add(svg, "circle", { cx: x(row.r), cy: y(row.speedup), r: 3.5, class: "point" });
      add(point, "title", {}, `r = ${row.r}: ${rate(row.imagesPerSecond)} pictures/s, ${times(row.speedup)} (promised ${times(row.promisedSpeedup)})`);
    }
    add(svg, "line", { x1: left, x2: left + 18, y1: 8, y2: 8, class: "measured" });
    add(svg, "text", { x: left + 24, y: 12 }, "measured");
    add(svg, "line", { x1: left + 94, x2: left + 112, y1: 8, y2: 8, class: "promised" });
    add(svg, "text", { x: left + 118, y: 12 }, "promised");
  });
}

/** As `1.83×`. */
export const times = (value) => `${value.toFixed(2)}×`;

/** Pictures per second, with three digits or all before the point. */
export const rate = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** As `12 ms` or `1.4 ms`. */
export const milliseconds = (value) => `${value >= 100 ? value.toFixed(0) : value.toPrecision(2)} ms`;

/** Operations, as `0.12 GFLOP`. */
export const operations = (flops) => (flops >= 1e9 ? `${(flops / 1e9).toPrecision(3)} GFLOP` : `${(flops / 1e6).toPrecision(3)} MFLOP`);

/** Bytes, as `22.9 MB`. */
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
