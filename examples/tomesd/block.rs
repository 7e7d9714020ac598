//! The attention branch of somebody's transformer, y = x + projection(attention(norm(x))), and what tomesd's way of
//! merging adds to it: one `TokenMerger` before attention, one `unmerge` after it.

use tome_wgpu::kernels::{self, attention, layer_norm, matmul};
use tome_wgpu::{Dispatch, Gpu, MergeIo, MergeShape, Result, TokenMerger};

/// Its weights and its input, on a device.
pub struct Block {
    gpu: Gpu,
    grid: [u32; 2],
    heads: u32,
    head_width: u32,
    /// `[tokens, channels]`
    pub x: wgpu::Buffer,
    qkv: wgpu::Buffer,
    projection: wgpu::Buffer,
}

/// The branch as a list of calls.
pub struct Branch {
    pub dispatches: Vec<Dispatch>,
    /// Tokens that attention works on.
    pub tokens: u32,
    /// `[tokens of the input, channels]`
    pub y: wgpu::Buffer,
}

/// Numbers in [-1, 1) without symmetry.
fn noise(i: usize) -> f32 {
    (kernels::split_tokens::pcg(i as u32) >> 8) as f32 / (1 << 23) as f32 - 1.0
}

impl Block {
    /// Random weights, and tokens of a picture: neighbours on the grid are alike.
    pub fn new(gpu: &Gpu, [rows, columns]: [u32; 2], heads: u32, head_width: u32) -> Result<Self> {
        let c = heads * head_width;
        let token = |i: usize| {
            let (place, channel) = (i / c as usize, i % c as usize);
            let [row, column] = [place / columns as usize, place % columns as usize].map(|v| v as f32);
            let [a, b, phase] = [0, 1, 2].map(|k| noise(3 * channel + k) * 12.0);
            (row / rows as f32 * a + column / columns as f32 * b + phase).sin() + 0.1 * noise(i)
        };
        let matrix = |from: usize, outputs: u32| -> Vec<f32> {
            let scale = 3.0 / f64::from(c).sqrt() as f32;
            (0..(outputs * c) as usize).map(|i| scale * noise(from + i)).collect()
        };
        let x: Vec<f32> = (0..(rows * columns * c) as usize).map(token).collect();
        Ok(Block {
            grid: [rows, columns],
            heads,
            head_width,
            x: gpu.buffer_with("x", &x)?,
            qkv: gpu.buffer_with("qkv", &matrix(1 << 20, 3 * c))?,
            projection: gpu.buffer_with("projection", &matrix(1 << 22, c))?,
            gpu: gpu.clone(),
        })
    }

    /// The branch with a share of its tokens merged while attention runs, or as it is.
    pub fn branch(&self, ratio: Option<f64>) -> Result<Branch> {
        let (gpu, [rows, columns]) = (&self.gpu, self.grid);
        let (n, c) = (rows * columns, self.heads * self.head_width);
        let buffer = |tokens: u32, width: u32| gpu.buffer("activation", u64::from(tokens) * u64::from(width));

        let linear = |rows, columns, io| kernels::matmul(gpu, matmul::Params::new(rows, c, columns), io);

        let normed = buffer(n, c)?;
        let params = layer_norm::Params::new(n, c, 1e-5);
        let mut dispatches = vec![kernels::layer_norm(gpu, params, layer_norm::Io::new(&self.x, &normed))?];

        // Merge: matched by the block's input, the normalised tokens merge.
        let shape = MergeShape::tomesd(1, self.grid, c, ratio.unwrap_or(0.0));
        let m = shape.tokens_out();
        let merged = if ratio.is_some() { buffer(m, c)? } else { normed.clone() };
        let io = MergeIo::new(&self.x, &normed, &merged);
        let merger = ratio.map(|_| TokenMerger::new(gpu, shape, io)).transpose()?;
        dispatches.extend(merger.iter().flat_map(TokenMerger::dispatches).cloned());

        let (qkv, attended, y) = (buffer(m, 3 * c)?, buffer(m, c)?, buffer(n, c)?);
        dispatches.push(linear(m, 3 * c, matmul::Io::new(&merged, &self.qkv, &qkv))?);
        let params = attention::Params::fused(1, m, self.heads, self.head_width);
        dispatches.push(kernels::attention(gpu, params, attention::Io::new(&qkv, &qkv, &qkv, &attended))?);

        // Unmerge: every token gets its group's result, added to what it was.
        match &merger {
            None => {
                let io = matmul::Io::new(&attended, &self.projection, &y).residual(&self.x);
                dispatches.push(linear(n, c, io)?);
            }
            Some(merger) => {
                let projected = buffer(m, c)?;
                dispatches.push(linear(m, c, matmul::Io::new(&attended, &self.projection, &projected))?);
                let (x, back) = ((&self.x).into(), (&y).into());
                dispatches.push(merger.unmerge(c, (&projected).into(), Some(x), back)?);
            }
        }
        Ok(Branch { dispatches, tokens: m, y })
    }
}
