//! The forms of a kernel, and what naga has to accept for a variant: for these tests and for `benches/registers`.

use naga::valid::Capabilities;
use tome_wgpu::kernel::{Form, Part};
use tome_wgpu::{Element, KernelSpec, Lane, Tile, TileSize, Variant};

/// One head width for each that a row in registers may have.
const HEAD_WIDTHS: [u32; 5] = [16, 32, 64, 80, 128];

/// A form for each shader of a variant that a call may choose: every value that is compiled in, without any, with one and
/// with all of what may be absent.
pub fn forms(spec: &KernelSpec, variant: Variant) -> Vec<Form> {
    let has = |part| spec.parts.contains(&part);
    let widths = if has(Part::Attend) { &HEAD_WIDTHS[..] } else { &[0] };
    let sizes = if has(Part::Tile) { variant.tile.sizes() } else { &[TileSize::Medium] };
    let compiled: Vec<Vec<u32>> = match spec.compiled {
        [] => vec![vec![]],
        [choice] => (0..choice.values.len() as u32).map(|value| vec![value]).collect(),
        _ => panic!("{}: every pair of choices is not tested", spec.name),
    };
    let (optional, needed): (Vec<_>, Vec<_>) =
        spec.bindings.iter().enumerate().map(|(i, binding)| (binding.optional, 1 << i)).partition(|b| b.0);
    let needed: u32 = needed.iter().map(|(_, bit)| bit).sum();
    // The slabs of a product, and what becomes of its sums, are files and constants of their own: both at once.
    let fits = if has(Part::Tile) { &[true, false][..] } else { &[true] };
    let mut present = vec![needed];
    present.extend(optional.iter().map(|(_, bit)| needed | bit));
    present.push(u32::MAX);
    let mut forms = Vec::new();
    for &head_width in widths {
        for &tile_size in sizes {
            for (compiled, &fits) in compiled.iter().flat_map(|c| fits.iter().map(move |f| (c, f))) {
                forms.extend(present.iter().map(|&present| Form {
                    head_width,
                    tile_size,
                    whole_slabs: fits,
                    fours: fits,
                    present,
                    compiled: compiled.clone(),
                }));
            }
        }
    }
    forms
}

/// What a variant may ask of a device: nothing, unless it is made for subgroups or 16-bit floats.
pub fn needs(variant: Variant) -> Capabilities {
    let lane = match variant.lane {
        Lane::Tree => Capabilities::empty(),
        Lane::Subgroup => Capabilities::SUBGROUP,
    };
    let element = match variant.element {
        Element::F16 => Capabilities::SHADER_FLOAT16 | Capabilities::SHADER_FLOAT16_IN_FLOAT32,
        _ => Capabilities::empty(),
    };
    let tile = match variant.tile {
        Tile::Cooperative { .. } => Capabilities::COOPERATIVE_MATRIX,
        _ => Capabilities::empty(),
    };
    lane | element | tile
}
