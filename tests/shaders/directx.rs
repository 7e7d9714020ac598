//! Every variant by Microsoft's own compilers, called as wgpu calls them: FXC (`d3dcompiler_47.dll`) what it gets where
//! there is no other, and DXC (`dxcompiler.dll` beside the tests' program or in the path) everything. It takes minutes, so
//! that it is started by name only: `cargo test --release --test shaders directx -- --ignored`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use tome_wgpu::{Element, Lane, Tile, Variant};
use windows::Win32::Graphics::Direct3D::Dxc::{self, IDxcBlobUtf8, IDxcCompiler3, IDxcResult};
use windows::Win32::Graphics::Direct3D::Fxc;
use windows::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows::core::{GUID, HRESULT, HSTRING, Interface, PCSTR, PCWSTR, s, w};

use crate::every_shader;
use crate::translation::{hlsl, matrices};

/// A shader to compile.
#[derive(Clone)]
struct Job {
    name: String,
    entry: &'static str,
    text: String,
    target: &'static str,
    /// It, or another on the same device, has 16-bit floats.
    half: bool,
}

/// Every shader that is another text, for each of the targets of its variant.
fn jobs(targets: impl Fn(Variant) -> &'static [&'static str]) -> Vec<Job> {
    let jobs: RefCell<HashMap<(String, &str), Job>> = RefCell::default();
    every_shader(|spec, (variant, form), _, module, info| {
        for &target in targets(variant) {
            if matrices(spec, variant).is_none() {
                let text = hlsl(variant, module, info);
                let name = format!("{}/{}", variant.id(), spec.form_id(variant, form));
                let half = variant.element == Element::F16 || target == "cs_6_6";
                let job = Job { name, entry: spec.name, text: text.clone(), target, half };
                jobs.borrow_mut().entry((text, target)).or_insert(job);
            }
        }
    });
    jobs.into_inner().into_values().collect()
}

/// Compiles on all threads, each with a compiler of its own, and names what is refused.
fn compile<C>(
    jobs: Vec<Job>,
    compiler: impl Fn() -> C + Sync,
    compile: impl Fn(&C, &Job) -> Result<(), String> + Sync,
) {
    assert!(!jobs.is_empty());
    let (count, start) = (jobs.len(), Instant::now());
    let (open, wrong, slowest) = (Mutex::new(jobs), Mutex::new(Vec::new()), Mutex::new((0.0, String::new())));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                let compiler = compiler();
                loop {
                    let Some(job) = open.lock().unwrap().pop() else { break };
                    let start = Instant::now();
                    if let Err(message) = compile(&compiler, &job) {
                        wrong.lock().unwrap().push(format!("{} for {}: {message}", job.name, job.target));
                    }
                    let took = start.elapsed().as_secs_f64();
                    let mut slowest = slowest.lock().unwrap();
                    if took > slowest.0 {
                        *slowest = (took, format!("{} for {}", job.name, job.target));
                    }
                }
            });
        }
    });
    let ((slow, which), wrong) = (slowest.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!("{count} shaders in {:.0} s, the slowest {which} in {slow:.1} s", start.elapsed().as_secs_f64());
    assert!(wrong.is_empty(), "{} of {count} do not compile:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
#[ignore = "minutes"]
fn fxc_compiles_what_it_is_given() {
    // It has neither subgroups nor 16 bits, and does not compile tiles in workgroup memory: see `Caps::fxc`.
    let fxc = Variant::new(Element::F32, Tile::Direct);
    let jobs = jobs(|variant| if variant == fxc { &["cs_5_1"] } else { &[] });
    compile(jobs, || (), |(), job| by_fxc(job));
}

#[test]
#[ignore = "minutes"]
fn dxc_compiles_every_variant() {
    let jobs = jobs(|variant| match (variant.element, variant.lane) {
        (Element::F32, Lane::Tree | Lane::Subgroup) => &["cs_6_0", "cs_6_6"],
        _ => &["cs_6_2", "cs_6_6"],
    });
    compile(jobs, dxc, by_dxc);
}

fn by_fxc(job: &Job) -> Result<(), String> {
    let [entry, target] = [job.entry, job.target].map(|text| format!("{text}\0"));
    let (mut object, mut errors) = (None, None);
    // SAFETY: text with its length, names that end in 0, and places for two results.
    let compiled = unsafe {
        Fxc::D3DCompile(
            job.text.as_ptr().cast(),
            job.text.len(),
            PCSTR::null(),
            None,
            None,
            PCSTR(entry.as_ptr()),
            PCSTR(target.as_ptr()),
            Fxc::D3DCOMPILE_ENABLE_STRICTNESS,
            0,
            &raw mut object,
            Some(&raw mut errors),
        )
    };
    compiled.map_err(|error| {
        let message = errors.map(|errors| {
            // SAFETY: the compiler's words, as long as it says.
            let bytes = unsafe {
                std::slice::from_raw_parts(errors.GetBufferPointer().cast::<u8>(), errors.GetBufferSize())
            };
            String::from_utf8_lossy(bytes).into_owned()
        });
        message.unwrap_or_else(|| error.to_string())
    })
}

fn dxc() -> IDxcCompiler3 {
    type Create = unsafe extern "system" fn(*const GUID, *const GUID, *mut *mut std::ffi::c_void) -> HRESULT;
    let mut made = std::ptr::null_mut();
    // SAFETY: `DxcCreateInstance` has this type, and what it makes has the interface asked for.
    unsafe {
        let library = LoadLibraryW(w!("dxcompiler.dll")).expect("dxcompiler.dll beside the program");
        let create = GetProcAddress(library, s!("DxcCreateInstance")).expect("dxcompiler.dll is DXC");
        let create: Create = std::mem::transmute(create);
        create(&Dxc::CLSID_DxcCompiler, &IDxcCompiler3::IID, &mut made).ok().expect("a compiler");
        IDxcCompiler3::from_raw(made)
    }
}

fn by_dxc(compiler: &IDxcCompiler3, job: &Job) -> Result<(), String> {
    let [entry, target] = [job.entry, job.target].map(HSTRING::from);
    let mut args = vec![w!("-E"), PCWSTR(entry.as_ptr()), w!("-T"), PCWSTR(target.as_ptr())];
    args.extend([w!("-HV"), w!("2018"), w!("-no-warnings"), Dxc::DXC_ARG_ENABLE_STRICTNESS]);
    if job.half {
        args.push(w!("-enable-16bit-types"));
    }
    let text =
        Dxc::DxcBuffer { Ptr: job.text.as_ptr().cast(), Size: job.text.len(), Encoding: Dxc::DXC_CP_UTF8.0 };
    // SAFETY: text with its length, names that end in 0, and what is read is as long as the compiler says.
    unsafe {
        let result: IDxcResult = compiler.Compile(&text, Some(&args), None).map_err(|e| e.to_string())?;
        let mut errors: Option<IDxcBlobUtf8> = None;
        result.GetOutput(Dxc::DXC_OUT_ERRORS, &mut None, &raw mut errors).map_err(|e| e.to_string())?;
        match errors.filter(|errors| errors.GetStringLength() > 0) {
            Some(errors) => Err(errors.GetStringPointer().to_string().unwrap_or_else(|e| e.to_string())),
            None => result.GetStatus().and_then(|status| status.ok()).map_err(|e| e.to_string()),
        }
    }
}
