import { group, patchColours } from "./groups.js";

/** The picture with its tokens painted over it, and the patch that is pointed at. */
export class MergePicture {
  /** How much the tokens cover the photo: 0 to 1. */
  opacity = 1;
  #canvas;
  #context;
  #onPoint;
  #photo = new OffscreenCanvas(1, 1);
  #colours;
  #grid;
  #groups;
  #of;
  /** The patch that is pointed at. */
  #patch;

  /** `onPoint` is called with what is pointed at: `{ row, column, patches }`, or nothing. */
  constructor(canvas, onPoint) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#onPoint = onPoint;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => this.#point(this.#under(event)));
    canvas.addEventListener("pointerdown", (event) => this.#point(this.#under(event)));
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#point(undefined));
    canvas.addEventListener("blur", () => this.#point(undefined));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Shows a picture as the network sees it; `grid` is rows and columns of patches. */
  show(fitted, grid) {
    if (this.#grid?.join() !== grid.join()) this.#patch = undefined;
    this.#grid = grid;
    this.#photo.width = fitted.width;
    this.#photo.height = fitted.height;
    this.#photo.getContext("2d").putImageData(fitted, 0, 0);
    this.#canvas.style.aspectRatio = `${fitted.width} / ${fitted.height}`;
    this.#colours = patchColours(fitted, grid);
    this.#groups = undefined;
  }

  /** Shows which patches became one token. */
  merge(source) {
    const { groups, of } = group(source, this.#colours);
    this.#groups = groups;
    this.#of = of;
    this.draw();
    if (this.#patch !== undefined) this.#tell();
  }

  draw() {
    if (!this.#groups) return;
    const canvas = this.#canvas;
    const context = this.#context;
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.globalAlpha = 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#photo, 0, 0, width, height);
    context.globalAlpha = this.opacity;
    for (const group of this.#groups) {
      context.fillStyle = group.fill;
      for (const patch of group.patches) context.fillRect(...this.#box(patch));
    }
    const line = Math.max(1, Math.round(Math.min(devicePixelRatio, width / this.#grid[1] / 12)));
    for (const group of this.#groups) this.#outline(group, line, group.outline);
    const pointed = this.#patch === undefined ? undefined : this.#of[this.#patch];
    if (pointed) this.#lift(pointed, line);
  }

  /** Dims all but one group. */
  #lift(pointed, line) {
    const context = this.#context;
    context.globalAlpha = 0.58;
    context.fillStyle = "#101010";
    for (const group of this.#groups) {
      if (group !== pointed) for (const patch of group.patches) context.fillRect(...this.#box(patch));
    }
    context.globalAlpha = 1;
    this.#outline(pointed, 2 * line + 1, "#fff");
    context.lineWidth = line;
    context.strokeStyle = "#fff";
    const [x, y, width, height] = this.#box(this.#patch);
    context.strokeRect(x + width * 0.3, y + height * 0.3, width * 0.4, height * 0.4);
  }

  /** Lines inside a group's patches along every side where another group begins. */
  #outline(group, line, colour) {
    const context = this.#context;
    const [rows, columns] = this.#grid;
    context.fillStyle = colour;
    for (const patch of group.patches) {
      const [x, y, width, height] = this.#box(patch);
      const row = Math.floor(patch / columns);
      const column = patch % columns;
      const ends = (inside, neighbour) => !inside || this.#of[neighbour] !== group;
      if (ends(row > 0, patch - columns)) context.fillRect(x, y, width, line);
      if (ends(row < rows - 1, patch + columns)) context.fillRect(x, y + height - line, width, line);
      if (ends(column > 0, patch - 1)) context.fillRect(x, y, line, height);
      if (ends(column < columns - 1, patch + 1)) context.fillRect(x + width - line, y, line, height);
      // Where only the patch across the corner is another's, the outline turns here.
      for (const [down, right] of [[-1, -1], [-1, 1], [1, -1], [1, 1]]) {
        const inside = row + down >= 0 && row + down < rows && column + right >= 0 && column + right < columns;
        const turns = inside && this.#of[patch + down * columns + right] !== group
          && this.#of[patch + down * columns] === group && this.#of[patch + right] === group;
        if (turns) context.fillRect(right < 0 ? x : x + width - line, down < 0 ? y : y + height - line, line, line);
      }
    }
  }

  /** A patch's place on the canvas, in whole pixels, so that neighbours meet. */
  #box(patch) {
    const [rows, columns] = this.#grid;
    const { width, height } = this.#canvas;
    const row = Math.floor(patch / columns);
    const column = patch % columns;
    const [left, top] = [Math.round((column * width) / columns), Math.round((row * height) / rows)];
    return [left, top, Math.round(((column + 1) * width) / columns) - left, Math.round(((row + 1) * height) / rows) - top];
  }

  #under({ offsetX, offsetY }) {
    if (!this.#grid) return undefined;
    const [rows, columns] = this.#grid;
    const row = Math.floor((offsetY / this.#canvas.clientHeight) * rows);
    const column = Math.floor((offsetX / this.#canvas.clientWidth) * columns);
    return row >= 0 && row < rows && column >= 0 && column < columns ? row * columns + column : undefined;
  }

  #key(event) {
    if (!this.#groups) return;
    if (event.key === "Escape") return this.#point(undefined);
    const [rows, columns] = this.#grid;
    const patch = this.#patch ?? -1;
    let [row, column] = patch < 0 ? [Math.floor(rows / 2), Math.floor(columns / 2)] : [Math.floor(patch / columns), patch % columns];
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (steps[event.key] && patch >= 0) {
      row += steps[event.key][0];
      column += steps[event.key][1];
    } else if (event.key === "Home") column = 0;
    else if (event.key === "End") column = columns - 1;
    else if (!steps[event.key]) return;
    event.preventDefault();
    this.#point(Math.min(rows - 1, Math.max(0, row)) * columns + Math.min(columns - 1, Math.max(0, column)));
  }

  #point(patch) {
    if (patch === this.#patch || !this.#groups) return;
    this.#patch = patch;
    this.draw();
    this.#tell();
  }

  #tell() {
    if (this.#patch === undefined) return this.#onPoint(undefined);
    const columns = this.#grid[1];
    const row = Math.floor(this.#patch / columns) + 1;
    this.#onPoint({ row, column: (this.#patch % columns) + 1, patches: this.#of[this.#patch].patches.length });
  }
}
