//! A kernel's declaration, and assembling its shader from WGSL files and constants.

use std::fmt::Write;

use crate::variant::{Element, Lane, Matrix, Sharing, Tile, TileSize, Variant};

/// A kernel as it is declared: its shader, what it binds, what its shader is assembled from.
#[derive(Clone, Copy, Debug)]
pub struct KernelSpec {
    /// The stem: file, entry point, function, module, label, test and bench.
    pub name: &'static str,
    /// Its own file.
    pub source: File,
    /// Where the entry point stands in a file of its own: those of shaders without and with subgroup built-ins.
    pub entries: &'static [File],
    /// The fields of `Params` in the uniform at binding 0.
    pub params: &'static [Field],
    /// The fields of `Params` that are compiled into the shader.
    pub compiled: &'static [Choice],
    /// Bindings in order, from binding 1.
    pub bindings: &'static [Binding],
    /// Library parts that the text refers to.
    pub parts: &'static [Part],
}

/// A WGSL file with its name for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Path below `shaders/`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// A field of `Params` that shaders read from the uniform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in Rust and in WGSL.
    pub name: &'static str,
    /// Its first byte.
    pub offset: usize,
    /// Its type in Rust; whatever is no `f32` is a number or a choice of 32 bits.
    pub kind: &'static str,
}

/// A field of `Params` that becomes the constant of its name in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name in Rust.
    pub name: &'static str,
    /// The names of its values in Rust, counted from 0.
    pub values: &'static [&'static str],
}

/// A buffer or texture that a kernel binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its name in Rust and in WGSL.
    pub name: &'static str,
    /// The kind of its values.
    pub access: Access,
    /// Whether it is written (and may be read back by the same dispatch).
    pub written: bool,
    /// Whether it may be absent. The constant `HAS_` and its name in capitals says whether it is there.
    pub optional: bool,
}

/// The kind of a binding's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Values of 4 bytes.
    Word,
    /// Values of the storage type of activations.
    Elem,
    /// Values of the storage type of weights.
    Weight,
    /// A sum: values of the storage type, or of 4 bytes where a `residual` is added.
    Sum,
    /// A texture of floats that is loaded from, not sampled.
    Texture,
}

/// The choices of a call for its shader, besides the device's variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// For kernels that hold a head's row in registers; 0 for the others.
    pub head_width: u32,
    /// For matrix products, where the variant's tile has several sizes.
    pub tile_size: TileSize,
    /// For matrix products: the inner values are a multiple of 32, and so fill their last slab.
    pub whole_slabs: bool,
    /// For matrix products: the columns come in fours.
    pub fours: bool,
    /// Which bindings are there, a bit each from the lowest on.
    pub present: u32,
    /// The values of [`KernelSpec::compiled`].
    pub compiled: Vec<u32>,
}

impl Default for Form {
    fn default() -> Self {
        Form {
            head_width: 0,
            tile_size: TileSize::Medium,
            whole_slabs: false,
            fours: true,
            present: u32::MAX,
            compiled: Vec::new(),
        }
    }
}

/// A part of a shader that comes from the library or depends on the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `Elem`, `Elem4`: the storage type of activations.
    Element,
    /// `Weight4`: the storage type of weights.
    Weight,
    /// `put`: what becomes of sums and where they go, of type `Out`, see [`Access::Sum`].
    Out,
    /// `workgroup_bests`: searches by all lanes of a workgroup.
    Search,
    /// `row_sum`: a few rows to a workgroup, and sums over each.
    Rows,
    /// `multiply_tile`: a tile of x times w transposed.
    Tile,
    /// `attend`: a few queries against all keys.
    Attend,
    /// `source_token`, `destination_token`: who may merge into whom.
    Split,
    /// `exp_f32`, `log_f32`, `erf_f32`: the same digits on every driver.
    Math,
}

/// Rows that share a workgroup where a few lanes have one each: `ROWS`.
pub(crate) const ROWS: u32 = 4;
/// Sources that share a workgroup in find_matches: `BESTS`.
pub(crate) const BESTS: u32 = 4;

/// A WGSL file below `shaders/`.
macro_rules! file {
    ($name:literal) => {
        $crate::kernel::File {
            name: concat!($name, ".wgsl"),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
        }
    };
}
pub(crate) use file;

/// A file for matrix units, which WebGPU in browsers has none of: no page loads its text.
macro_rules! units {
    ($name:literal) => {
        File { text: if cfg!(target_family = "wasm") { "" } else { file!($name).text }, ..file!($name) }
    };
}

impl Part {
    /// The files that hold this part for a variant and a form.
    fn files(self, variant: Variant, form: &Form, exact: bool) -> Vec<File> {
        match self {
            Part::Element if variant.element == Element::F16 => vec![file!("lib/elem_f16")],
            Part::Element => vec![file!("lib/elem_f32")],
            Part::Weight if variant.weights == Element::F16 => vec![file!("lib/weight_f16")],
            Part::Weight => vec![file!("lib/weight_f32")],
            Part::Out => vec![
                if exact { file!("matmul/out_f32") } else { file!("matmul/out_elem") },
                if form.fours { file!("matmul/ends_fours") } else { file!("matmul/ends_ones") },
            ],
            Part::Search if variant.lane == Lane::Subgroup => vec![file!("find_matches/subgroup")],
            Part::Search => vec![file!("find_matches/tree")],
            Part::Rows => vec![file!("lib/rows")],
            Part::Tile => tile(variant),
            Part::Attend => attend(variant),
            Part::Split => vec![file!("lib/split")],
            Part::Math => vec![file!("lib/math")],
        }
    }

    /// The constants that this part needs for a variant and a form.
    fn constants(self, variant: Variant, form: &Form, exact: bool) -> Vec<(&'static str, u32)> {
        let by_subgroup = u32::from(variant.lane == Lane::Subgroup);
        match self {
            Part::Element => vec![("ELEM_BITS", variant.element.bits())],
            Part::Weight => vec![("WEIGHT_BITS", variant.weights.bits())],
            Part::Out => vec![
                ("OUT_BITS", if exact { 32 } else { variant.element.bits() }),
                ("OUT_FOURS", form.fours.into()),
            ],
            Part::Search => vec![("BESTS", BESTS), ("BY_SUBGROUP", by_subgroup)],
            Part::Rows => vec![("ROWS", ROWS)],
            Part::Split | Part::Math => vec![],
            Part::Tile => {
                let [rows, columns] = variant.tile.covers(form.tile_size);
                let whole = form.whole_slabs.into();
                let mut all = vec![("TILE_ROWS", rows), ("TILE_COLUMNS", columns), ("WHOLE_SLABS", whole)];
                match variant.tile {
                    Tile::Direct => all.push(("BY_SUBGROUP", by_subgroup)),
                    Tile::Workgroup => {
                        let [rise, span, slab] = variant.tile.lane_sums(form.tile_size);
                        all.extend([("RISE", rise), ("SPAN", span), ("SLAB", slab)]);
                    }
                    Tile::Cooperative { matrix, subgroup } => {
                        let Sharing { down, across, rise, span, strip, slab } =
                            matrix.sharing(subgroup, form.tile_size);
                        all.extend([("MATRIX", matrix.rows()), ("SUBGROUP", subgroup), ("SLAB", slab)]);
                        all.extend([("DOWN", down), ("ACROSS", across)]);
                        all.extend([("RISE", rise), ("SPAN", span), ("STRIP", strip)]);
                    }
                }
                all
            }
            Part::Attend => {
                let queries = variant.tile.queries();
                let mut all = vec![("QUERIES", queries), ("WIDTH4", held_width(form.head_width) / 4)];
                match variant.tile {
                    Tile::Cooperative { matrix, subgroup } => {
                        all.extend([("MATRIX", matrix.rows()), ("SUBGROUP", subgroup)]);
                    }
                    Tile::Direct => all.push(("BY_SUBGROUP", by_subgroup)),
                    Tile::Workgroup => {}
                }
                all
            }
        }
    }
}

/// The width of a row held in registers that has room for a head's: few, so that networks share shaders.
fn held_width(head_width: u32) -> u32 {
    [16, 32, 64, 80].into_iter().find(|&width| head_width <= width).unwrap_or(128)
}

/// The files of a tile.
fn tile(variant: Variant) -> Vec<File> {
    match (variant.tile, variant.lane) {
        (Tile::Direct, Lane::Tree) => vec![file!("matmul/rows_lane"), file!("matmul/tile_direct")],
        (Tile::Direct, Lane::Subgroup) => {
            vec![file!("lib/hand_round"), file!("matmul/rows_subgroup"), file!("matmul/tile_direct")]
        }
        (Tile::Workgroup, _) => {
            vec![file!("lib/dots"), file!("matmul/slabs"), file!("matmul/tile_workgroup")]
        }
        (Tile::Cooperative { matrix, .. }, _) => {
            vec![
                of_matrix(matrix),
                units!("lib/matrices"),
                file!("matmul/slabs"),
                units!("matmul/tile_matrices"),
            ]
        }
    }
}

/// The files of attention.
fn attend(variant: Variant) -> Vec<File> {
    match (variant.tile, variant.lane) {
        (Tile::Cooperative { matrix, .. }, _) => {
            vec![of_matrix(matrix), units!("lib/matrices"), units!("attention/matrices")]
        }
        (Tile::Workgroup, _) => vec![file!("lib/dots"), file!("attention/blocks")],
        (Tile::Direct, Lane::Tree) => vec![file!("attention/keys_lane"), file!("attention/lanes")],
        (Tile::Direct, Lane::Subgroup) => {
            vec![file!("lib/hand_round"), file!("attention/keys_subgroup"), file!("attention/lanes")]
        }
    }
}

fn of_matrix(matrix: Matrix) -> File {
    match matrix {
        Matrix::Eight => units!("lib/matrix_8"),
        Matrix::Sixteen => units!("lib/matrix_16"),
    }
}

/// A whole shader with the place of each file in it.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// WGSL, ready to compile.
    pub text: String,
    /// First line (from 1) of each file in `text`.
    starts: Vec<(usize, &'static str)>,
}

impl KernelSpec {
    /// The shader of a variant and a form: `enable` lines, constants, library files, the kernel's own text.
    pub fn assemble(&self, variant: Variant, form: &Form) -> Assembled {
        let mut text = String::new();
        if self.by_half(variant) {
            text.push_str("enable f16;\n");
        }
        if self.by_matrices(variant) {
            text.push_str("enable wgpu_cooperative_matrix;\n");
        }
        for (name, value) in self.constants(variant, form) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "const {name}: u32 = {value}u;");
        }
        let mut starts = Vec::new();
        for File { name, text: more } in self.files(variant, form) {
            starts.push((text.lines().count() + 1, name));
            text.push_str(more);
        }
        Assembled { text, starts }
    }

    /// The constants that a shader begins with. Shaders of a kernel whose constants are the same are the same.
    pub fn constants(&self, variant: Variant, form: &Form) -> Vec<(String, u32)> {
        let exact = self.adds_residual(form);
        let parts = self.parts.iter().flat_map(|part| part.constants(variant, form, exact));
        let mut all: Vec<_> = parts.map(|(name, value)| (name.to_owned(), value)).collect();
        all.extend(self.compiled.iter().zip(&form.compiled).map(|(c, &v)| (c.name.to_ascii_uppercase(), v)));
        let optional = self.bindings.iter().enumerate().filter(|(_, binding)| binding.optional);
        all.extend(optional.map(|(i, binding)| {
            (format!("HAS_{}", binding.name.to_ascii_uppercase()), form.present >> i & 1)
        }));
        all
    }

    /// A form's shader by name, without its variant: `matmul.large.gelu.bias`. The kernel, then what the form decides:
    /// the tile's size, what fits it badly (`rest` where the last slab is not filled, `ones` where columns do not come in
    /// fours), the head width, compiled values other than the first, and those optional bindings that are there.
    pub fn form_id(&self, variant: Variant, form: &Form) -> String {
        let mut id = vec![self.name.to_owned()];
        if self.parts.contains(&Part::Tile) && variant.tile.sizes().len() > 1 {
            id.push(format!("{:?}", form.tile_size).to_ascii_lowercase());
        }
        if self.parts.contains(&Part::Tile) && !form.whole_slabs {
            id.push("rest".into());
        }
        if self.parts.contains(&Part::Out) && !form.fours {
            id.push("ones".into());
        }
        if self.parts.contains(&Part::Attend) {
            id.push(format!("width{}", form.head_width));
        }
        let compiled = self.compiled.iter().zip(&form.compiled).filter(|&(_, &value)| value != 0);
        id.extend(compiled.map(|(choice, &value)| choice.values[value as usize].to_ascii_lowercase()));
        let there =
            self.bindings.iter().enumerate().filter(|(i, b)| b.optional && form.present >> i & 1 == 1);
        id.extend(there.map(|(_, binding)| binding.name.to_owned()));
        id.join(".")
    }

    /// The files that a shader is assembled from.
    pub fn files(&self, variant: Variant, form: &Form) -> Vec<File> {
        let exact = self.adds_residual(form);
        let mut all = vec![file!("lib/grid")];
        all.extend(self.parts.iter().flat_map(|part| part.files(variant, form, exact)));
        if let [plain, by_subgroup] = *self.entries {
            all.push(file!("lib/lane"));
            all.push(if self.by_subgroup(variant) { by_subgroup } else { plain });
        }
        all.push(self.source);
        all
    }

    /// Bytes of a value in a binding; none for a texture.
    pub fn bytes(&self, binding: &Binding, variant: Variant, form: &Form) -> u64 {
        match binding.access {
            Access::Word => 4,
            Access::Sum if self.adds_residual(form) => 4,
            Access::Elem | Access::Sum => variant.element.bytes(),
            Access::Weight => variant.weights.bytes(),
            Access::Texture => 0,
        }
    }

    /// Whether the shader of a variant uses matrix units.
    pub fn by_matrices(&self, variant: Variant) -> bool {
        let has = |part| self.parts.contains(&part);
        matches!(variant.tile, Tile::Cooperative { .. }) && (has(Part::Tile) || has(Part::Attend))
    }

    /// Whether the shader of a variant uses subgroups.
    pub fn by_subgroup(&self, variant: Variant) -> bool {
        let has = |part| self.parts.contains(&part);
        let direct = variant.tile == Tile::Direct && (has(Part::Tile) || has(Part::Attend));
        variant.lane == Lane::Subgroup && (direct || has(Part::Search)) || self.by_matrices(variant)
    }

    fn by_half(&self, variant: Variant) -> bool {
        let has = |part| self.parts.contains(&part);
        has(Part::Element) && variant.element == Element::F16
            || has(Part::Weight) && variant.weights == Element::F16
    }

    fn adds_residual(&self, form: &Form) -> bool {
        self.bindings.iter().enumerate().any(|(i, b)| b.name == "residual" && form.present >> i & 1 == 1)
    }
}

impl Assembled {
    /// The file and the line in it that a line of the assembled text came from.
    pub fn locate(&self, line: usize) -> String {
        let at = self.starts.iter().rev().find(|(start, _)| *start <= line);
        at.map_or_else(|| format!("line {line}"), |(start, file)| format!("{file}:{}", line - start + 1))
    }
}
