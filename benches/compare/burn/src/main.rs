//! burn's runner; README.md one folder up says what a runner is.
//!
//!     compare-burn MODEL.safetensors IMAGES.f32 LOGITS.f32 BATCH SIDE HEADS fused|plain

mod vit;

use std::io::{BufRead, Write};
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};
use vit::{Attention, VisionTransformer};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, images, logits, batch, side, heads, attention] = &args[..] else {
        panic!("MODEL.safetensors IMAGES.f32 LOGITS.f32 BATCH SIDE HEADS fused|plain");
    };
    let [batch, side, heads] = [batch, side, heads].map(|n| n.parse::<usize>().expect("a number"));
    let attention = match attention.as_str() {
        "fused" => Attention::Fused,
        "plain" => Attention::Plain,
        other => panic!("attention {other}"),
    };
    let started = Instant::now();
    let device = Device::wgpu(Default::default());
    let file = std::fs::read(model).expect("the weights");
    let vit = VisionTransformer::load(&file, heads, attention, &device);
    let images = floats(&std::fs::read(images).expect("the images"));
    say(json!({ "device": format!("{device:?}"), "load": started.elapsed().as_secs_f64() }));

    for line in std::io::stdin().lock().lines() {
        line.expect("a line");
        // From images in host memory to logits in host memory, as for everyone.
        let start = Instant::now();
        let input = TensorData::new(images.clone(), [batch, 3, side, side]);
        let data = vit.forward(Tensor::from_data(input, &device)).into_data();
        let seconds = start.elapsed().as_secs_f64();
        let values = data.try_to_vec::<f32>().expect("f32 logits");
        std::fs::write(logits, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
            .expect("a file");
        say(json!({ "seconds": seconds }));
    }
}

fn say(line: Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("standard output");
}

/// Little-endian f32 values.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
