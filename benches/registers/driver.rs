//! A device of wgpu's making whose driver says what it compiled, by `VK_KHR_pipeline_executable_properties`.

use std::ffi::{CStr, CString, c_char};

use ash::khr::pipeline_executable_properties as executables;
use ash::vk;
use tome_wgpu::{Element, wanted_device};
use wgpu::hal::{OpenDevice, vulkan};

use crate::figures::Compiled;
use crate::shaders::{Binding, Shader};

/// The driver of an adapter.
pub struct Driver {
    // What it opened closes when it is dropped.
    _open: OpenDevice<vulkan::Api>,
    device: ash::Device,
    executables: executables::Device,
    spirv: (u8, u8),
}

impl Driver {
    /// Opens a device as wgpu does for this crate, with what it has of robust buffers and matrix units; none where the
    /// driver does not say what it compiles.
    pub fn open(adapter: &wgpu::Adapter) -> Option<Driver> {
        // SAFETY: nothing of the adapter is destroyed.
        let hal = unsafe { adapter.as_hal::<vulkan::Api>() }?;
        let there = hal.physical_device_capabilities();
        if !there.supports_extension(executables::NAME) {
            return None;
        }
        let spirv = match there.properties().api_version {
            ..vk::API_VERSION_1_2 => (1, 3),
            vk::API_VERSION_1_2..vk::API_VERSION_1_3 => (1, 5),
            _ => (1, 6),
        };
        let wanted = wanted_device(adapter, Element::F16);
        let mut says = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        // SAFETY: the extension is there, and has this feature alone; nothing is taken away.
        let open = unsafe {
            hal.open_with_callback(
                wanted.required_features,
                &wanted.required_limits,
                &wanted.memory_hints,
                Some(Box::new(|args| {
                    args.extensions.push(executables::NAME);
                    *args.create_info = args.create_info.push_next(&mut says);
                })),
            )
        };
        let open = open.expect("a device");
        let device = open.device.raw_device().clone();
        let instance = open.device.shared_instance().raw_instance();
        let executables = executables::Device::new(instance, &device);
        Some(Driver { _open: open, device, executables, spirv })
    }

    /// Compiles a shader as wgpu does.
    pub fn compile(&self, shader: &Shader) -> Result<Compiled, vk::Result> {
        let words = shader.spirv(self.spirv);
        let bindings: Vec<_> = shader.bindings.iter().map(layout).collect();
        let entry = CString::new(shader.entry.as_str()).expect("a name");
        let device = &self.device;
        // SAFETY: naga has validated the module, whose bindings these are; all is destroyed once, after its last use.
        unsafe {
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&set, None)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None)?;
            let module = vk::ShaderModuleCreateInfo::default().code(&words);
            let module = device.create_shader_module(&module, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                // As wgpu for every device with subgroups.
                .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE)
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(&entry);
            let pipeline = vk::ComputePipelineCreateInfo::default().layout(layout).stage(stage).flags(
                vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                    | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR,
            );
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[pipeline], None);
            let compiled = made.map_err(|(_, error)| error).and_then(|pipelines| {
                let compiled = self.ask(pipelines[0]);
                device.destroy_pipeline(pipelines[0], None);
                compiled
            });
            device.destroy_shader_module(module, None);
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            compiled
        }
    }

    /// Asks the driver about a pipeline.
    ///
    /// # Safety
    ///
    /// It is one of this device, made to be asked.
    unsafe fn ask(&self, pipeline: vk::Pipeline) -> Result<Compiled, vk::Result> {
        let pipeline_info = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: as this function's; each text has the room that the driver asked for.
        unsafe {
            let all = self.executables.get_pipeline_executable_properties(&pipeline_info)?;
            // Intel's driver may have several, for more and more lanes at once.
            let Some(last) = (all.len() as u32).checked_sub(1) else { return Ok(Compiled::default()) };
            let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(last);
            let statistics = self.executables.get_pipeline_executable_statistics(&info)?;
            let statistics = statistics.iter().map(|one| (text(&one.name), value(one)));
            let mut texts = self.executables.get_pipeline_executable_internal_representations(&info)?;
            let mut bytes: Vec<Vec<u8>> = texts.iter().map(|text| vec![0; text.data_size]).collect();
            for (text, bytes) in texts.iter_mut().zip(&mut bytes) {
                text.p_data = bytes.as_mut_ptr().cast();
            }
            let mut count = texts.len() as u32;
            let call = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            call(self.device.handle(), &info, &mut count, texts.as_mut_ptr()).result()?;
            let texts =
                texts.iter().zip(&bytes).filter(|(of, _)| of.is_text == vk::TRUE).map(|(of, bytes)| {
                    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                    (text(&of.name), String::from_utf8_lossy(&bytes[..end]).into_owned())
                });
            Ok(Compiled { statistics: statistics.collect(), texts: texts.collect() })
        }
    }
}

fn layout(binding: &(u32, Binding)) -> vk::DescriptorSetLayoutBinding<'static> {
    let kind = match binding.1 {
        Binding::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
        Binding::Storage => vk::DescriptorType::STORAGE_BUFFER,
        Binding::Texture => vk::DescriptorType::SAMPLED_IMAGE,
    };
    vk::DescriptorSetLayoutBinding::default()
        .binding(binding.0)
        .descriptor_type(kind)
        .descriptor_count(1)
        .stage_flags(vk::ShaderStageFlags::COMPUTE)
}

/// A name in one of Vulkan's arrays.
fn text(chars: &[c_char]) -> String {
    // SAFETY: the driver ends every name within its array.
    unsafe { CStr::from_ptr(chars.as_ptr()) }.to_string_lossy().into_owned()
}

fn value(statistic: &vk::PipelineExecutableStatisticKHR<'_>) -> f64 {
    // SAFETY: the format says which it is.
    unsafe {
        match statistic.format {
            vk::PipelineExecutableStatisticFormatKHR::INT64 => statistic.value.i64 as f64,
            vk::PipelineExecutableStatisticFormatKHR::UINT64 => statistic.value.u64 as f64,
            vk::PipelineExecutableStatisticFormatKHR::FLOAT64 => statistic.value.f64,
            _ => f64::from(statistic.value.b32),
        }
    }
}
