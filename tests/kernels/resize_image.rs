use tome_wgpu::kernels::resize_image::{Encoding, Io, Order, Params, SPEC, resize_image};
use tome_wgpu::vit::{Resample, Taps};
use tome_wgpu::{Error, reference};

use crate::common::textures::{FORMATS, bytes_of, texture};
use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};

/// Bytes are the same, and of `(byte / 255 - mean) / deviation` each of two divisions may be off by 2.5 units in the last
/// place, of a result of up to 4.
const TOL: Tol = Tol { abs: 2e-6, rel: 0.0 };

const NORMAL: [f32; 6] = [0.5, 0.4, 0.3, 0.25, 0.5, 0.75];

/// A picture, the format that it is stored in, and what is to become of it.
#[derive(Debug)]
struct Case {
    size: [u32; 2],
    format: wgpu::TextureFormat,
    taps: [Taps; 2],
    params: Params,
}

impl Case {
    /// `made` pixels from `first` on, of a picture resized to `whole`.
    fn new(size: [u32; 2], whole: [u64; 2], first: [u64; 2], made: [u32; 2], resample: Resample) -> Self {
        let taps = [0, 1].map(|i| Taps::new(size[i], whole[i], (first[i], made[i]), resample).unwrap());
        let params = Taps::params(&taps, 3, Order::Rgb);
        Case { size, format: FORMATS[0], taps, params }
    }

    /// A whole picture.
    fn whole(size: [u32; 2], made: [u32; 2], resample: Resample) -> Self {
        Case::new(size, made.map(u64::from), [0; 2], made, resample)
    }

    fn with(mut self, change: impl FnOnce(&mut Params)) -> Self {
        change(&mut self.params);
        self
    }

    fn len(&self) -> u32 {
        let Params { channels, height, width, first, .. } = self.params;
        first + channels * height * width
    }

    fn normal(&self) -> &[f32] {
        if self.params.channels == 1 { &NORMAL[..2] } else { &NORMAL }
    }

    fn on_gpu(&self, rig: &Rig, bytes: &[u8]) -> Vec<f32> {
        let [down, across] = [&self.taps[0], &self.taps[1]].map(|taps| rig.data(taps.words()));
        let (normal, y) = (rig.data(self.normal()), rig.data(&vec![UNTOUCHED; self.len() as usize]));
        let texture = texture((rig.gpu.device(), &rig.queue), self.format, self.size, bytes);
        let view = texture.create_view(&Default::default());
        let io = Io::new(&view, &down, &across, &normal, &y);
        rig.run(&[resize_image(&rig.gpu, self.params, io).unwrap()]);
        rig.read(&y, self.len())
    }

    fn want(&self, bytes: &[u8]) -> Vec<f32> {
        let mut want = vec![UNTOUCHED; self.len() as usize];
        let [down, across] = [&self.taps[0], &self.taps[1]].map(Taps::words);
        reference::resize_image(&self.params, bytes, down, across, self.normal(), &mut want);
        want
    }

    fn check(&self) {
        let bytes = bytes_of(self.size[0], self.size[1]);
        let want = self.want(&bytes);
        for rig in rigs_for(&SPEC) {
            let what = format!("{} {:?} {:?}", rig.id(), self.format, self.params);
            close(what, &self.on_gpu(rig, &bytes), &want, TOL);
        }
    }
}

const UNTOUCHED: f32 = -77.0;

#[test]
fn matches_the_reference() {
    for (_, resample) in Resample::NAMES {
        // One pixel; around a tile; growing, shrinking, one of each; many times smaller; by nothing at all.
        for (size, made) in [
            ([1, 1], [1, 1]),
            ([1, 1], [17, 33]),
            ([33, 17], [16, 16]),
            ([15, 31], [17, 48]),
            ([61, 48], [28, 29]),
            ([7, 90], [40, 11]),
            ([333, 777], [5, 3]),
            ([20, 36], [20, 36]),
        ] {
            Case::whole(size, made, resample).check();
        }
        // A crop of the whole, within its borders and at them.
        Case::new([61, 48], [40, 31], [6, 2], [28, 28], resample).check();
        Case::new([50, 41], [90, 80], [62, 0], [28, 33], resample).check();
        Case::new([50, 300], [30, 180], [1, 76], [28, 28], resample).check();
    }
}

#[test]
fn every_format_gives_the_bytes_that_are_stored() {
    // Every byte in every channel, resized by nothing.
    let bytes: Vec<u8> =
        (0..=255u8).flat_map(|v| [v, v.wrapping_mul(7), 255 - v, v.wrapping_add(99)]).collect();
    for format in FORMATS {
        let encoding = if format.is_srgb() { Encoding::Srgb } else { Encoding::Plain };
        let mut case = Case::whole([16, 16], [16, 16], Resample::Bicubic).with(|p| p.encoding = encoding);
        case.format = format;
        let want = case.want(&bytes);
        for rig in rigs_for(&SPEC) {
            close(format!("{} {format:?}", rig.id()), &case.on_gpu(rig, &bytes), &want, TOL);
        }
        case.params.order = Order::Bgr;
        case.check();
        // Grey, behind other values, which stay as they are.
        let mut grey = Case::whole([23, 40], [17, 19], Resample::Bilinear);
        grey.format = format;
        grey.with(|p| (p.channels, p.first, p.encoding) = (1, 37, encoding)).check();
    }
}

#[test]
fn what_is_not_written_stays() {
    let case = Case::whole([20, 30], [17, 18], Resample::Bicubic).with(|params| params.first = 5);
    let bytes = bytes_of(20, 30);
    for rig in rigs_for(&SPEC) {
        same(rig.id(), &case.on_gpu(rig, &bytes)[..5], &[UNTOUCHED; 5]);
    }
}

#[test]
fn tables_and_sizes_that_lie_lead_nowhere() {
    let bytes = bytes_of(9, 9);
    for rig in rigs_for(&SPEC) {
        // A texture smaller than it is said to be, and tables of anything: some picture, and nothing else is touched.
        let mut case = Case::whole([90, 90], [28, 28], Resample::Bicubic);
        case.size = [9, 9];
        let values = case.on_gpu(rig, &bytes);
        assert!(values.iter().all(|value| (-2.0..=4.0).contains(value)), "{}", rig.id());

        let mut random = Random(3);
        let count = case.taps.iter().map(|taps| taps.words().len()).max().unwrap();
        let any: Vec<u32> = (0..count).map(|_| random.below(u32::MAX)).collect();
        let (any, normal, y) = (rig.data(&any), rig.data(&NORMAL), rig.unwritten(case.len()));
        let texture = texture((rig.gpu.device(), &rig.queue), case.format, case.size, &bytes);
        let view = texture.create_view(&Default::default());
        let io = Io::new(&view, &any, &any, &normal, &y);
        rig.run(&[resize_image(&rig.gpu, case.params, io).unwrap()]);
        let values: Vec<f32> = rig.read(&y, case.len());
        assert!(values.iter().all(|value| (-2.0..=4.0).contains(value)), "{}", rig.id());
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    let Some(rig) = rigs_for(&SPEC).next() else { return };
    let case = Case::whole([20, 30], [17, 18], Resample::Bicubic);
    let [down, across] = [&case.taps[0], &case.taps[1]].map(|taps| rig.data(taps.words()));
    // Without a zone behind it.
    let (normal, y) = (rig.data(&NORMAL), rig.gpu.buffer("y", case.len().into()).unwrap());
    let texture = texture((rig.gpu.device(), &rig.queue), case.format, case.size, &bytes_of(20, 30));
    let view = texture.create_view(&Default::default());
    let io = Io::new(&view, &down, &across, &normal, &y);
    for wrong in [
        set!(case.params; channels: 2),
        set!(case.params; height: 0),
        set!(case.params; image_width: 0),
        set!(case.params; first: u32::MAX),
        set!(case.params; taps_down: u32::MAX),
    ] {
        let error = resize_image(&rig.gpu, wrong, io).unwrap_err();
        assert!(matches!(error, Error::Params { kernel: "resize_image", .. }), "{error}");
    }
    let error = resize_image(&rig.gpu, set!(case.params; first: 4), io).unwrap_err();
    assert!(matches!(error, Error::BufferTooSmall { binding: "y", .. }), "{error}");
    let error = resize_image(&rig.gpu, case.params, Io::new(&down, &down, &across, &normal, &y)).unwrap_err();
    assert!(matches!(error, Error::BindingKind { binding: "image", .. }), "{error}");

    for (length, whole, part) in
        [(0, 4, (0, 4)), (4, 4, (1, 4)), (4, 4, (0, 0)), (4, 0, (0, 1)), (u32::MAX, 4, (0, 4))]
    {
        assert!(matches!(Taps::new(length, whole, part, Resample::Box), Err(Error::Input(_))));
    }
}
