//! The async core by itself, as a browser has it: nobody but the test polls the device.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use common::{Opened, Random, adapter, open};
use tome_wgpu::run::Runner;
use tome_wgpu::vit::{Config, Input, Options, Output, VisionTransformer, Want, Weights};
use tome_wgpu::{Error, Gpu, Schedule};

/// 17 tokens, 2 blocks.
fn config() -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    (config.image_size, config.patch_size, config.depth) = ([16, 16], [4, 4], 2);
    (config.embed_dim, config.mlp_hidden, config.num_heads, config.num_classes) = (32, 64, 2, 7);
    config
}

/// Awaits what a test does, while another thread polls the device as a browser does.
fn polling<T>(Opened { device, .. }: &Opened, test: impl Future<Output = T>) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                _ = device.poll(wgpu::PollType::Poll);
                thread::sleep(Duration::from_millis(1));
            }
        });
        // Ends the thread when the test fails, too.
        let value = panic::catch_unwind(AssertUnwindSafe(|| pollster::block_on(test)));
        done.store(true, Ordering::SeqCst);
        value.unwrap_or_else(|why| panic::resume_unwind(why))
    })
}

fn opened() -> Option<(Opened, Gpu)> {
    let opened = open(adapter()?, wgpu::Features::empty(), wgpu::Limits::default());
    let gpu = Gpu::new(&opened.device).unwrap();
    Some((opened, gpu))
}

#[test]
fn a_runner_gives_what_its_plan_gives() {
    let Some((opened, gpu)) = opened() else { return };
    let (config, options) = (config(), Options::with_schedule(Schedule::constant(3)));
    let weights = Weights::random(&config, 3);
    let images = Random(7).floats(2 * config.image_values() as u32);

    let vit = VisionTransformer::new(&gpu, config.clone(), &weights).unwrap();
    let plan = vit.plan(2, &options).unwrap();
    opened.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(&images));
    let mut encoder = opened.device.create_command_encoder(&Default::default());
    plan.encode(&mut encoder);
    opened.queue.submit([encoder.finish()]);
    let logits: Vec<f32> = common::read(&opened.device, &opened.queue, plan.logits(), 2 * 7);

    polling(&opened, async {
        let runner = Runner::open(gpu, opened.queue.clone(), config.clone(), &weights).await.unwrap();
        runner.prepare(Input::Floats, 2, &options, Want::LOGITS).await.unwrap();
        let outputs = runner.run(&images, &options, Want::ALL).await.unwrap();
        assert_eq!(outputs.logits, logits);
        for &output in Output::ALL {
            let values = 2 * output.values(&config, outputs.merged as u32);
            assert_eq!(outputs.get(output).len(), values, "{output}");
        }
        let only = runner.run(&images, &options, Output::Dense).await.unwrap();
        assert_eq!((&only.dense, only.logits.len()), (&outputs.dense, 0));

        // More than are on their way at once, one of them given up.
        let mut stream = runner.stream(&options, Want::ALL);
        for _ in 0..5 {
            stream.push(&images).await.unwrap();
        }
        let mut given_up = Box::pin(stream.pop());
        let mut popped =
            usize::from(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        drop(given_up);
        while popped < 5 {
            assert_eq!(stream.pop().await.unwrap().as_ref(), Some(&outputs));
            popped += 1;
        }
        assert_eq!(stream.pop().await.unwrap(), None);
    });
}

#[test]
fn what_goes_wrong_is_a_typed_error() {
    let Some((opened, gpu)) = opened() else { return };
    let (config, options) = (config(), Options::default());
    let weights = Weights::random(&config, 3);
    polling(&opened, async {
        let runner = Runner::open(gpu, opened.queue.clone(), config.clone(), &weights).await.unwrap();
        let wrong = runner.run(&[0.0f32; 5][..], &options, Want::LOGITS).await;
        assert!(matches!(wrong, Err(Error::Input(_))), "{wrong:?}");
        let wrong = runner.prepare(Input::Pixels, 0, &options, Want::LOGITS).await;
        assert!(matches!(wrong, Err(Error::Input(_))), "{wrong:?}");
        let images = Random(7).floats(config.image_values() as u32);
        runner.run(&images, &options, Want::LOGITS).await.unwrap();
        // Lost with a batch on its way.
        let mut stream = runner.stream(&options, Want::LOGITS);
        stream.push(&images).await.unwrap();
        opened.device.destroy();
        let lost = stream.pop().await;
        assert!(matches!(lost, Ok(Some(_)) | Err(Error::DeviceLost(_))), "{lost:?}");
        let lost = runner.run(&images, &options, Want::LOGITS).await;
        assert!(matches!(lost, Err(Error::DeviceLost(_))), "{lost:?}");
    });
}

#[test]
fn plans_of_several_schedules_share_their_activations() {
    let Some((opened, gpu)) = opened() else { return };
    let config = config();
    let vit = VisionTransformer::new(&gpu, config.clone(), &Weights::random(&config, 3)).unwrap();
    let images = Random(7).floats(2 * config.image_values() as u32);
    let schedules = ["0", "3", "5,0", "1,2"].map(|r| Options::with_schedule(r.parse().unwrap()));
    let first = vit.plan(2, &schedules[0]).unwrap();
    let logits = |plan: &tome_wgpu::vit::Plan| -> Vec<f32> {
        opened.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(&images));
        let mut encoder = opened.device.create_command_encoder(&Default::default());
        plan.encode(&mut encoder);
        opened.queue.submit([encoder.finish()]);
        common::read(&opened.device, &opened.queue, plan.logits(), 2 * config.num_classes)
    };
    for options in &schedules {
        let shared = vit.plan_beside(&first, Input::Floats, options).unwrap();
        assert_eq!(shared.input(), first.input(), "the same buffers");
        let own = vit.plan(2, options).unwrap();
        assert_ne!(own.input(), first.input());
        assert_eq!(logits(&shared), logits(&own), "{}", options.schedule);
    }
    // A metric that there is no room for takes buffers of its own.
    let mut wide = schedules[1].clone();
    wide.metric = tome_wgpu::vit::Metric::Attention;
    assert_ne!(vit.plan_beside(&first, Input::Floats, &wide).unwrap().input(), first.input());
    // Of another network.
    let other = VisionTransformer::new(&gpu, config.clone(), &Weights::random(&config, 4)).unwrap();
    let wrong = other.plan_beside(&first, Input::Floats, &schedules[0]);
    assert!(matches!(wrong, Err(Error::Input(_))), "{wrong:?}");
}
