//! Devices of the caller's, and what is kept of them.

use tome_wgpu::kernels::{self, layer_norm};
use tome_wgpu::tune::{Bench, TileFamily, Tuning};
use tome_wgpu::vit::{Want, Weights};
use tome_wgpu::{
    DeviceChoice, Element, Error, Gpu, Session, Store, cooperative_tile, tested_tile, wanted_device,
};

use crate::common::{Tol, adapter, close, open, open_as};
use crate::networks::{config, images, options, sessions};

#[test]
fn a_session_on_the_callers_gpu_has_everything_set_on_it() {
    let Some(adapter) = adapter() else { return };
    if !adapter.features().contains(wgpu::Features::SHADER_F16) {
        return;
    }
    let (config, opened) = (config(), open_as(adapter, &wanted_device(adapter, Element::F16)));
    let gpu = Gpu::with_element(&opened.device, Element::F16).unwrap().checked();
    let weights = Weights::random(&config, 3);
    let session = Session::on(gpu, opened.queue, config.clone(), &weights).unwrap();
    assert_eq!((session.device().precision, &*session.device().why), ("f16", "the caller's device"));
    let images = images(&config, 3);
    let got = session.run(&images, &options(0), Want::LOGITS).unwrap();
    let want = sessions(&config)[1].run(&images, &options(0), Want::LOGITS).unwrap();
    close("logits", &got.logits, &want.logits, Tol { abs: 5e-2, rel: 1e-2 });
    assert_ne!(got.logits, want.logits, "nothing was stored in 16 bits");
    // It has no store.
    let tuning = Tuning { tile: TileFamily::Direct, fill: 16 };
    let refused = Bench::new(&session).save_tuning(tuning);
    assert!(matches!(refused, Err(Error::File { .. })), "{refused:?}");
}

#[test]
fn a_store_in_memory_keeps_pipelines_and_tunings() {
    let Some(adapter) = adapter() else { return };
    let (config, store) = (config(), Store::memory());
    let weights = Weights::random(&config, 3);
    let choice = DeviceChoice::Name(adapter.get_info().name);
    let open = || {
        pollster::block_on(Session::open(config.clone(), &weights, &choice, Element::F32, &store)).unwrap()
    };
    let session = open();
    assert_eq!(session.device().tuning, None);
    let want = session.run(&images(&config, 2), &options(3), Want::ALL).unwrap();
    let Store::Memory(kept) = &store else { unreachable!() };
    let names = || kept.lock().unwrap().keys().cloned().collect::<Vec<_>>();
    let keeps_pipelines = adapter.features().contains(wgpu::Features::PIPELINE_CACHE);
    assert_eq!(names().iter().any(|name| name.ends_with(".bin")), keeps_pipelines, "{:?}", names());

    let tuning = Tuning { tile: TileFamily::Workgroup, fill: 16 };
    let place = Bench::new(&session).save_tuning(tuning).unwrap();
    assert!(place.starts_with("tuning-") && place.ends_with(" in memory"), "{place}");
    let tuned = open();
    assert_eq!(tuned.device().tuning, Some(tuning));
    let got = tuned.run(&images(&config, 2), &options(3), Want::ALL).unwrap();
    close("logits", &got.logits, &want.logits, Tol { abs: 1e-4, rel: 0.0 });
    let bench = Bench::new(&tuned);
    assert!(bench.forget_tuning().unwrap() && !bench.forget_tuning().unwrap());
    assert_eq!(open().device().tuning, None);
    // What is broken is made again.
    kept.lock().unwrap().values_mut().for_each(|bytes| bytes.push(0));
    assert_eq!(open().run(&images(&config, 2), &options(3), Want::ALL).unwrap(), want);
}

#[test]
fn a_device_is_named_with_its_backend() {
    let Some(adapter) = adapter() else { return };
    let (info, config) = (adapter.get_info(), config());
    let weights = Weights::random(&config, 3);
    let session = |name: String| Session::new(config.clone(), &weights, &name.parse().unwrap());
    let backend = format!("{:?}", info.backend);
    for name in [format!("{} ({backend})", info.name), format!("({})", backend.to_uppercase())] {
        assert_eq!(session(name).unwrap().device().backend, backend);
    }
    let other = session(format!("{} (Gl)", info.name));
    let Err(Error::NoAdapter(what)) = other else { panic!("{other:?}") };
    assert!(what.contains(&format!("({backend})")), "{what}");
    for empty in ["", " "] {
        assert!(matches!(empty.parse::<DeviceChoice>(), Err(Error::Input(_))));
    }
}

#[test]
fn natively_nothing_is_left_to_settle() {
    let Some(adapter) = adapter() else { return };
    let [ours, other] = [(); 2].map(|()| open(adapter, wgpu::Features::empty(), wgpu::Limits::default()));
    let [gpu, other] = [ours, other].map(|opened| Gpu::new(&opened.device).unwrap());
    let [x, y] = ["x", "y"].map(|label| gpu.buffer(label, 4).unwrap());
    pollster::block_on(gpu.settle()).unwrap();
    // What the device refuses is told by the call itself, at once.
    let foreign = other.buffer("foreign", 4).unwrap();
    let params = layer_norm::Params::new(1, 4, 1e-6);
    let io = |x: &wgpu::Buffer| {
        let io = layer_norm::Io::new(x, &y);
        kernels::layer_norm(&gpu, params, io)
    };
    assert!(matches!(io(&foreign), Err(Error::Device { .. })));
    pollster::block_on(gpu.settle()).unwrap();
    io(&x).unwrap();
}

#[test]
fn matrix_units_pass_their_test_and_the_verdict_is_remembered() {
    let Some(adapter) = adapter() else { return };
    let store = Store::memory();
    let there = cooperative_tile(adapter);
    for _ in 0..2 {
        assert_eq!(pollster::block_on(tested_tile(adapter, &store)), there);
    }
}
