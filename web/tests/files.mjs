// Files that tests are made of: networks with random weights, pictures, safetensors.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";

/** Numbers from 0 to 1, the same for a seed every time. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Writes `{name: {shape, values}}` as safetensors of f32. */
export function writeTensors(path, tensors) {
  let end = 0;
  const header = {};
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, (end += 4 * values.length)] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const data = Object.values(tensors).map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  writeFileSync(path, Buffer.concat([length, text, ...data]));
}

/** The tensors of a safetensors file, of f32 and u32. */
export function readTensors(path) {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, start));
  delete header.__metadata__;
  const read = ([name, { dtype, shape, data_offsets: [begin, end] }]) => {
    const data = bytes.subarray(start + begin, start + end);
    const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    const values = { F32: (b) => new Float32Array(b), U32: (b) => new Uint32Array(b) }[dtype](buffer);
    return [name, { shape, values }];
  };
  return Object.fromEntries(Object.entries(header).map(read));
}

/** A ViT-Ti/16 of 224 x 224 pixels with random weights, by timm's names, in so many shards. */
export function writeVitTiny(folder, shards = 1) {
  mkdirSync(folder, { recursive: true });
  const [c, hidden, blocks, classes] = [192, 768, 12, 10];
  const next = random(7);
  const tensors = {};
  const add = (name, shape, scale, offset = 0) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    // The sum of three is near enough to a bell.
    for (let i = 0; i < values.length; i++) values[i] = offset + scale * 2 * (next() + next() + next() - 1.5);
    tensors[name] = { shape, values };
  };
  const linear = (name, out, inner) => {
    add(`${name}.weight`, [out, inner], 1 / Math.sqrt(inner));
    add(`${name}.bias`, [out], 0.02);
  };
  const norm = (name) => {
    add(`${name}.weight`, [c], 0.02, 1);
    add(`${name}.bias`, [c], 0.02);
  };
  add("cls_token", [1, 1, c], 0.5);
  add("pos_embed", [1, 197, c], 0.5);
  add("patch_embed.proj.weight", [c, 3, 16, 16], 1 / Math.sqrt(768));
  add("patch_embed.proj.bias", [c], 0.02);
  for (let i = 0; i < blocks; i++) {
    norm(`blocks.${i}.norm1`);
    linear(`blocks.${i}.attn.qkv`, 3 * c, c);
    linear(`blocks.${i}.attn.proj`, c, c);
    norm(`blocks.${i}.norm2`);
    linear(`blocks.${i}.mlp.fc1`, hidden, c);
    linear(`blocks.${i}.mlp.fc2`, c, hidden);
  }
  norm("norm");
  linear("head", classes, c);
  const size = { input_size: [3, 224, 224], mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], interpolation: "bicubic", crop_pct: 1 };
  const config = { architecture: "vit_tiny_patch16_224", num_classes: classes, pretrained_cfg: size };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  if (shards === 1) return writeTensors(join(folder, "model.safetensors"), tensors);
  const weight_map = {};
  const names = Object.keys(tensors);
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-0000${shard + 1}-of-0000${shards}.safetensors`;
    const part = names.filter((_, i) => i % shards === shard);
    part.forEach((name) => (weight_map[name] = file));
    writeTensors(join(folder, file), Object.fromEntries(part.map((name) => [name, tensors[name]])));
  }
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
}

/** RGBA pixels of stripes and dots of many colours. `alpha` gives each pixel's. */
export function drawing(width, height, alpha = () => 255) {
  const next = random(3);
  const spots = Array.from({ length: 12 }, () => [next() * width, next() * height, 8 + next() * 40, [next(), next(), next()]]);
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const spot = spots.find(([left, top, radius]) => Math.hypot(x - left, y - top) < radius);
      const wave = (k) => 0.5 + 0.5 * Math.sin((x * (k + 1) + y * (3 - k)) / 9);
      const colour = spot ? spot[3] : [wave(0), wave(1), wave(2)];
      pixels.set([...colour.map((v) => 255 * v), alpha(x, y)], 4 * (y * width + x));
    }
  }
  return pixels;
}

/** A PNG of RGBA pixels. */
export function png(width, height, rgba) {
  const rows = Buffer.alloc(height * (1 + 4 * width));
  for (let y = 0; y < height; y++) rows.set(rgba.subarray(4 * y * width, 4 * (y + 1) * width), y * (1 + 4 * width) + 1);
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6, 0, 0, 0], 8);
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts]);
}

function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
