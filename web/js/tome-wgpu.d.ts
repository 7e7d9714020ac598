/**
 * Vision Transformers with Token Merging in the browser: on WebGPU, or on the CPU where there is none.
 *
 * ```js
 * import { Tome } from "tome-wgpu";
 * const tome = await Tome.load("hf-hub:timm/deit_tiny_patch16_224.fb_in1k", { precision: "f16" });
 * const { top, ms } = await tome.run(document.querySelector("img"), { r: 13 });
 * ```
 * @module
 */

/** Where a network comes from: `hf-hub:OWNER/NAME[@REVISION]`, the URL of a folder, or its files by name. */
export type Source = string | URL | FileList | File[] | Record<string, Blob | ArrayBuffer | Uint8Array>;

/** What a network can be shown. A string is a URL. */
export type Picture =
  | ImageBitmap
  | ImageData
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame
  | Blob
  | URL
  | string;

/** How far loading is. */
export interface Progress {
  /** Which file; empty while pipelines are compiled. */
  file: string;
  stage: "download" | "cache" | "prepare";
  /** Bytes so far, of all files. */
  loaded: number;
  /** Bytes of all files, where the server says it. */
  total: number | undefined;
}

export interface LoadOptions {
  /** How weights and activations are stored on the device; `f16` wants WebGPU with `shader-f16`. `f32` without it. */
  precision?: "f32" | "f16";
  /** Called as bytes come. */
  onProgress?: (progress: Progress) => void;
  /** `auto`: WebGPU where there is an adapter that is no fallback, else the CPU. */
  device?: "auto" | "webgpu" | "cpu";
  /** Ends the download; `load` is then rejected with the signal's reason. */
  signal?: AbortSignal;
  /** Whether downloaded files are kept by the Cache API for the next visit; `true` without it. */
  cache?: boolean;
  /** A Hugging Face token, for networks that ask for one. */
  token?: string;
}

/** How many tokens merge, and where. */
export interface Merging {
  /** Tokens merged in each block, on average; an array says it block by block. 0 without it: nothing merges. */
  r?: number | number[];
  /** How `r` is spread over the blocks; `fitted` takes the schedule from the network's `fitted.json` and ignores `r`. */
  schedule?: "constant" | "rising" | "falling" | "fitted";
}

/** Results that can be asked for. */
export type Want = "probabilities" | "logits" | "features" | "source" | "size";

export interface RunOptions extends Merging {
  /** `["probabilities"]` without it; `top` comes with them. */
  want?: Want[];
  /** How many classes `top` has: 5 without it. */
  top?: number;
}

/** A class of a network, and how probable it is. */
export interface Class {
  index: number;
  label: string;
  probability: number;
}

/** What the network says of one picture. */
export interface Result {
  /** The most probable classes first; empty for a network without classes or where neither probabilities nor logits are asked for. */
  top: Class[];
  probabilities?: Float32Array;
  logits?: Float32Array;
  features?: Float32Array;
  /** `[patches]`: which of the tokens left each patch went into, by its place among them; those before the patches come first. */
  source?: Uint32Array;
  /** `[tokens left]`: how many tokens each token left stands for; those before the patches come first. */
  size?: Float32Array;
  /** Milliseconds from the call to the results; of a batch, of all of it. */
  ms: number;
}

/** A schedule made ready for a number of pictures at once. */
export interface Plan {
  /** Tokens that the first block is given. */
  tokens: number;
  /** Tokens that are left behind each block. */
  tokensPerBlock: number[];
  /** Multiply-adds times two, of one picture. */
  flops: number;
  /** How many times as fast as without merging it is, counted in operations. */
  promisedSpeedup: number;
  /** In words. */
  text: string;
}

export interface BenchRow {
  r: number;
  imagesPerSecond: number;
  /** Over the first of the rows. */
  speedup: number;
  /** The same counted in operations. */
  promisedSpeedup: number;
}

/** What the network runs on. */
export interface Device {
  kind: "webgpu" | "cpu";
  /** As the browser names it; browsers hide much of it. */
  name: string;
  precision: "f32" | "f16";
  /** Why this one. */
  why: string;
}

/** The network. */
export interface Config {
  architecture: string;
  /** Height and width of the pictures that it is given, in pixels. */
  imageSize: [number, number];
  /** Rows and columns of patches. */
  grid: [number, number];
  /** Tokens before the patches, such as the class token. */
  prefixTokens: number;
  blocks: number;
  /** Values of a token. */
  channels: number;
  classes: number;
  labels: string[];
  /** How a picture becomes the input, in words. */
  preprocess: string;
}

/** A network, ready to run. */
export class Tome {
  private constructor();
  /** Loads a network. Rejected with a {@link TomeError}. */
  static load(source: Source, options?: LoadOptions): Promise<Tome>;
  /** Removes all files that have been kept for later visits. */
  static clearCache(): Promise<void>;
  readonly config: Config;
  readonly device: Device;
  /** What was guessed or left out while loading, in words. */
  readonly warnings: string[];
  /** Whether there is a schedule fitted to the network, from `fitted.json`. */
  readonly isFitted: boolean;
  /** Settled when the device is lost, with the reason; the network has to be loaded again. */
  readonly lost: Promise<TomeError>;
  /** Runs one picture, or several at once. */
  run(picture: Picture, options?: RunOptions): Promise<Result>;
  run(pictures: Picture[], options?: RunOptions): Promise<Result[]>;
  /** The picture as the network sees it: resized and cropped. */
  fit(picture: Picture): Promise<ImageData>;
  /** Makes ready what a later `run` of so many pictures needs, so that it starts at once; `want` as there. */
  plan(merging?: Merging & { want?: Want[] }, batch?: number): Promise<Plan>;
  /** Measures pictures per second for some r, in turns. */
  bench(rs: number[], options?: Omit<Merging, "r"> & { batch?: number; seconds?: number }): Promise<BenchRow[]>;
  /** Frees the device's memory; later calls are rejected. */
  free(): void;
}

/** What kind of thing went wrong. */
export type ErrorKind =
  | "file"
  | "config"
  | "unsupported"
  | "weight"
  | "input"
  | "limit"
  | "out-of-memory"
  | "shader"
  | "device-lost"
  | "no-device"
  /** The device refused something. */
  | "device"
  | "network"
  | "picture"
  /** A defect of this package. */
  | "bug";

/** An error that says what is wrong and what to do about it. */
export class TomeError extends Error {
  readonly kind: ErrorKind;
}
