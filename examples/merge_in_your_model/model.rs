//! The model: two kernels of its own (attention.wgsl) on a device of its own.

use std::error::Error;

/// Channels of a token; one head.
pub const C: u32 = 64;

pub struct Model {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    project: wgpu::ComputePipeline,
    attend: wgpu::ComputePipeline,
}

impl Model {
    pub fn new(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let module = device.create_shader_module(wgpu::include_wgsl!("attention.wgsl"));
        let [project, attend] = ["project", "attend"].map(|entry| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: Default::default(),
                cache: None,
            })
        });
        Model { device, queue, project, attend }
    }

    /// A layer: `y = x + attention(x w)`, leaving q, k and v in `qkv`. All are as long as the tokens are many.
    pub fn layer(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        tokens: u32,
        [x, w, qkv, y, size]: [&wgpu::Buffer; 5],
    ) {
        self.run(pass, &self.project, 3 * tokens, &[(0, x), (1, w), (2, qkv)]);
        self.run(pass, &self.attend, tokens, &[(0, x), (2, qkv), (3, y), (4, size)]);
    }

    /// One lane a value.
    fn run(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &wgpu::ComputePipeline,
        rows: u32,
        buffers: &[(u32, &wgpu::Buffer)],
    ) {
        let entries = buffers
            .iter()
            .map(|&(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries.collect::<Vec<_>>(),
        });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(rows * C / 64, 1, 1);
    }

    /// A buffer of numbers.
    pub fn buffer(&self, data: &[f32]) -> wgpu::Buffer {
        let (size, usage) =
            (4 * data.len() as u64, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST);
        let usage = usage | wgpu::BufferUsages::COPY_SRC;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(data));
        buffer
    }

    /// The first values of a buffer.
    pub fn read<T: bytemuck::Pod>(
        &self,
        buffer: &wgpu::Buffer,
        count: u32,
    ) -> Result<Vec<T>, Box<dyn Error>> {
        let size = u64::from(count) * size_of::<T>() as u64;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let staging = self.device.create_buffer(&descriptor);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |_| ());
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?))
    }
}
