//! Matrix products of a ViT-B/16 in every variant and tile size that the adapter runs, in turns with bare loops of
//! multiply-adds, which say what its lanes and its matrix units can do at best, and with a simple kernel: GFLOP/s by the
//! median of the rounds, and the part of the roof. `TOME_BATCH` says how many images (64, on software drivers 1),
//! `TOME_ADAPTER` on which adapter.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use tome_wgpu::kernels::{self, matmul};
use tome_wgpu::{Element, Gpu, Matrix, Tile, cpu, wanted_device};

use common::{Opened, Random, Rig, Tol, adapter, close, open_as, rigs_for};

/// Tokens of an image of 224 x 224 pixels in patches of 16.
const TOKENS: u32 = 197;
const ROUNDS: usize = 5;
/// An entry's part of a round lasts about so long.
const SPAN: Duration = Duration::from_millis(100);

/// What an entry is measured against.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Roof {
    Lanes,
    Matrices,
}

/// Something to time.
struct Entry<'a> {
    name: String,
    roof: Roof,
    /// Whether it is that roof.
    is_roof: bool,
    rig: &'a Rig,
    encode: Box<dyn Fn(&mut wgpu::ComputePass<'_>)>,
    flops: f64,
    /// Of a call, in each round.
    seconds: Vec<f64>,
}

impl Entry<'_> {
    /// Seconds of a call.
    fn time(&self, calls: u64) -> f64 {
        self.rig.elapsed(calls, &self.encode).as_secs_f64() / calls as f64
    }

    /// Operations a second.
    fn rate(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        self.flops / seconds[seconds.len() / 2]
    }
}

fn main() {
    // What `cargo bench -- --test` asks is whether it runs at all.
    let test = std::env::args().any(|arg| arg == "--test");
    let Some(adapter) = adapter() else { return };
    let rigs = rigs(adapter);
    let software = rigs[0].gpu.caps().software;
    let batch = std::env::var("TOME_BATCH").map(|n| n.parse().expect("TOME_BATCH is a number"));
    let rows = TOKENS * batch.unwrap_or(if software { 1 } else { 64 });
    let products = [
        ("square", [1024, 1024, 1024]),
        ("qkv", [rows, 768, 2304]),
        ("proj", [rows, 768, 768]),
        ("fc1", [rows, 768, 3072]),
        ("fc2", [rows, 3072, 768]),
    ];
    println!("GFLOP/s on {}", adapter.get_info().name);
    for &(name, [rows, inner, columns]) in if test { &products[..1] } else { &products } {
        let params = matmul::Params::new(rows, inner, columns);
        let mut random = Random(1);
        let (x, w) = (random.floats(rows * inner), random.floats(columns * inner));
        let mut want = vec![0.0; (rows * columns) as usize];
        cpu::matmul(&params, &x, &w, None, None, None, None, &mut want);
        let mut entries = roofs(&rigs);
        entries.extend(rigs.iter().map(|rig| ours(rig, params, &x, &w, &want)));
        if name == "square" {
            entries.push(simple(&rigs[0], params, &x, &w, &want));
        }
        if test {
            continue;
        }
        measure(&mut entries);
        println!("\n{name}: {rows} x {inner} by {inner} x {columns}");
        for entry in &entries {
            let roof = entries.iter().find(|other| other.is_roof && other.roof == entry.roof);
            let part = roof.map_or(1.0, |roof| entry.rate() / roof.rate());
            println!("{:36} {:10.1} {:4.0} %", entry.name, entry.rate() * 1e-9, 100.0 * part);
        }
    }
}

/// All in turns, as devices drift.
fn measure(entries: &mut [Entry<'_>]) {
    let calls = entries.iter().map(|entry| {
        entry.time(1);
        (SPAN.as_secs_f64() / entry.time(1)).clamp(1.0, 1000.0) as u64
    });
    let calls: Vec<u64> = calls.collect();
    for _ in 0..ROUNDS {
        for (entry, &calls) in entries.iter_mut().zip(&calls) {
            let seconds = entry.time(calls);
            entry.seconds.push(seconds);
        }
    }
}

/// The variants in which the kernel differs, on a device with all that the adapter has, and as in release: without the
/// run-time checks of the tests.
fn rigs(adapter: &wgpu::Adapter) -> Vec<Rig> {
    let Opened { device, queue } = open_as(adapter, &wanted_device(adapter, Element::F16));
    let rig = |rig: &Rig| {
        let gpu = Gpu::with_variant(&device, rig.gpu.variant()).expect("the adapter runs it");
        Rig::of(gpu.with_tiles(rig.gpu.tiles()), &queue)
    };
    rigs_for(&matmul::SPEC).map(rig).collect()
}

fn ours<'a>(rig: &'a Rig, params: matmul::Params, x: &[f32], w: &[f32], want: &[f32]) -> Entry<'a> {
    let count = params.rows * params.columns;
    let (x, w, y) = (rig.elems(x), rig.weights(w), rig.unwritten(count));
    let io = matmul::Io::new(&x, &w, &y);
    let dispatch = kernels::matmul(&rig.gpu, params, io).expect("a product");
    rig.run(std::slice::from_ref(&dispatch));
    check(&rig.id(), &rig.read_elems(&y, count), want);
    Entry {
        name: rig.id(),
        roof: match rig.gpu.variant().tile {
            Tile::Cooperative { .. } => Roof::Matrices,
            Tile::Direct | Tile::Workgroup => Roof::Lanes,
        },
        is_roof: false,
        rig,
        flops: dispatch.flops() as f64,
        encode: Box::new(move |pass| dispatch.encode(pass)),
        seconds: Vec::new(),
    }
}

/// Far above rounding, also to 16 bits, and far below what a wrong kernel gives.
fn check(what: &str, got: &[f32], want: &[f32]) {
    close(what, got, want, Tol { abs: 2e-2, rel: 1e-3 });
}

/// The best simple kernel on a software driver.
fn simple<'a>(rig: &'a Rig, params: matmul::Params, x: &[f32], w: &[f32], want: &[f32]) -> Entry<'a> {
    let matmul::Params { rows, inner, columns, .. } = params;
    let y = rig.unwritten(rows * columns);
    let sizes = rig.gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("params"),
        size: 16,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    rig.queue.write_buffer(&sizes, 0, bytemuck::cast_slice(&[rows, inner, columns, 0]));
    let encode = bare(
        rig,
        include_str!("simple_matmul.wgsl"),
        &[&sizes, &rig.data(x), &rig.data(w), &y],
        [columns / 256, rows / 4],
    );
    rig.elapsed(1, &encode);
    check("simple_matmul", &rig.read(&y, rows * columns), want);
    Entry {
        name: "simple_matmul.wgsl".into(),
        roof: Roof::Lanes,
        is_roof: false,
        rig,
        encode,
        flops: 2.0 * f64::from(rows) * f64::from(inner) * f64::from(columns),
        seconds: Vec::new(),
    }
}

/// What the device does at best: its lanes, and its matrix units where it has such.
fn roofs(rigs: &[Rig]) -> Vec<Entry<'_>> {
    // Of the loops in both shaders, which read how many.
    const STEPS: u32 = 256;
    let rig = &rigs[0];
    let groups = if rig.gpu.caps().software { 64 } else { 4096 };
    let entry = |name: &str, roof, shader: &str, flops: u32, written: u32, want: f32| {
        let y = rig.data(&[vec![1.0 / 16.0; 4], vec![STEPS as f32; 4], vec![0.0; 2048]].concat());
        let encode = bare(rig, shader, &[&y], [groups, 1]);
        rig.elapsed(1, &encode);
        let got: Vec<f32> = rig.read(&y, written + 16);
        assert!(
            got[written as usize..].iter().all(|&value| (value - want).abs() <= 1e-3 * want),
            "{name}: {got:?}"
        );
        Entry {
            name: name.into(),
            roof,
            is_roof: true,
            rig,
            encode,
            flops: f64::from(groups) * f64::from(STEPS) * f64::from(flops),
            seconds: Vec::new(),
        }
    };
    // s = s / 16 + 1 / 16 ends at 1 / 15.
    let lanes = entry(
        "multiply-adds alone",
        Roof::Lanes,
        include_str!("roof_lanes.wgsl"),
        256 * 12 * 4 * 2,
        64,
        3.0 / 15.0,
    );
    let tile =
        rigs.iter().map(|rig| rig.gpu.variant().tile).find(|tile| matches!(tile, Tile::Cooperative { .. }));
    let Some(Tile::Cooperative { matrix, subgroup }) = tile else { return vec![lanes] };
    let side = matrix.rows();
    let shader = [
        "enable f16;\nenable wgpu_cooperative_matrix;\n",
        &format!("const SUBGROUP: u32 = {subgroup}u;\nconst MATRIX: u32 = {side}u;\n"),
        match matrix {
            Matrix::Eight => include_str!("../shaders/lib/matrix_8.wgsl"),
            Matrix::Sixteen => include_str!("../shaders/lib/matrix_16.wgsl"),
        },
        include_str!("roof_matrices.wgsl"),
    ];
    let (flops, want) = (4 * 4 * 2 * side.pow(3), (4 * STEPS * side) as f32 / 256.0);
    vec![lanes, entry("products of matrices alone", Roof::Matrices, &shader.concat(), flops, 64, want)]
}

/// A shader of its own without run-time checks.
fn bare(
    rig: &Rig,
    shader: &str,
    buffers: &[&wgpu::Buffer],
    [across, down]: [u32; 2],
) -> Box<dyn Fn(&mut wgpu::ComputePass<'_>)> {
    let device = rig.gpu.device();
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(shader.into()) };
    // SAFETY: the shaders beside this file stay within their buffers, and their loops end.
    let module =
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let entries = buffers.iter().enumerate();
    let entries: Vec<_> = entries
        .map(|(i, buffer)| wgpu::BindGroupEntry { binding: i as u32, resource: buffer.as_entire_binding() })
        .collect();
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    Box::new(move |pass| {
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(across, down, 1);
    })
}
