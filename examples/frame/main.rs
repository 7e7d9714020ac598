//! An application that draws on its own device has its frames classified where they are: none is read back, only the
//! probabilities are. It draws digits into a texture of a window's kind, for the built-in network:
//!
//!     cargo run --release --example frame

use std::error::Error;
use std::path::Path;

use tome_wgpu::vit::Options;
use tome_wgpu::{Gpu, Schedule, Session, files};

fn main() -> Result<(), Box<dyn Error>> {
    // The application's: a device, a texture that it draws into, and a way to draw.
    let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
    wanted.backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wanted);
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&Default::default())) else {
        eprintln!("no Vulkan, Metal or DX12 adapter: this example needs one, software drivers included");
        std::process::exit(1);
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
    let frame = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("frame"),
        size: wgpu::Extent3d { width: 640, height: 480, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Bgra8UnormSrgb,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    });
    let module = device.create_shader_module(wgpu::include_wgsl!("drawing.wgsl"));
    let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: None,
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            buffers: &[],
        },
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            targets: &[Some(frame.format().into())],
        }),
        primitive: Default::default(),
        depth_stencil: None,
        multisample: Default::default(),
        multiview_mask: None,
        cache: None,
    });

    // The network, on the same device.
    let (config, weights) =
        files::load_model(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits"), None)?;
    let session = Session::on(Gpu::new(&device)?, queue.clone(), config, &weights)?;
    let options = Options::for_network(session.config(), Schedule::constant(8));

    for digit in [0, 1, 8] {
        let view = frame.create_view(&Default::default());
        let target = wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: Default::default(),
        };
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(target)],
            ..Default::default()
        });
        pass.set_pipeline(&pipeline);
        pass.draw(0..3, digit..digit + 1);
        drop(pass);
        queue.submit([encoder.finish()]);

        let (class, probability) = session.classify(&frame, &options, 1)?[0][0];
        println!("drawn: {digit}; seen: {class}, {:.1} %", probability * 100.0);
        assert_eq!(class, digit as usize);
    }
    Ok(())
}
