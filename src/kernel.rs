//! A kernel's description, and assembling its shader from library files.

use crate::caps::{Element, Lane, Matrix, Tile, TileSize, Variant};

/// What a kernel is: its shader, what it binds, which library parts it is assembled with.
#[derive(Clone, Copy, Debug)]
pub struct KernelSpec {
    /// The stem: file, entry point, function, module, label, test and bench.
    pub name: &'static str,
    /// The text of `shaders/NAME.wgsl`.
    pub source: &'static str,
    /// Bindings in order; binding 0 is always the uniform `params`.
    pub bindings: &'static [(&'static str, Access)],
    /// Library parts that the text refers to.
    pub parts: &'static [Part],
    /// `size_of` the Rust `Params`.
    pub params_size: usize,
}

/// How a kernel uses a binding. Values are 4 bytes unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Uniform scalars.
    Uniform,
    /// A storage buffer that is read.
    Read,
    /// The same, of the variant's storage type.
    ReadElem,
    /// A storage buffer that is written (and may be read back by the same dispatch).
    Write,
    /// The same, of the variant's storage type.
    WriteElem,
    /// The same, of the call's output type, see [`Form::exact`].
    WriteOut,
}

impl Access {
    /// Whether the buffer is written.
    pub fn writes(self) -> bool {
        matches!(self, Access::Write | Access::WriteElem | Access::WriteOut)
    }

    /// Bytes of a value in the buffer.
    pub fn bytes(self, variant: Variant, form: Form) -> u64 {
        match self {
            Access::Uniform | Access::Read | Access::Write => 4,
            Access::WriteOut if form.exact => 4,
            Access::ReadElem | Access::WriteElem | Access::WriteOut => variant.element.bytes(),
        }
    }
}

/// What a call asks of a shader besides the device's variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// For kernels that hold a row in registers; 0 for the others.
    pub head_width: u32,
    /// The output is 32-bit whatever the storage type: a sum with the residual stream.
    pub exact: bool,
    /// For matrix products, where the variant's tile has several sizes.
    pub tile_size: TileSize,
    /// What follows a matrix product.
    pub epilogue: Epilogue,
}

/// What follows a matrix product. A shader is made for each: software drivers compute both sides of a branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epilogue {
    /// The number of an [`Activation`](crate::kernels::matmul::Activation).
    pub activation: u32,
    /// Whether a bias is added.
    pub bias: bool,
    /// Whether columns are scaled.
    pub scale: bool,
    /// Whether there is a gate to multiply by.
    pub gate: bool,
    /// Whether there is a residual to add.
    pub residual: bool,
}

impl Default for Form {
    fn default() -> Self {
        Form { head_width: 0, exact: false, tile_size: TileSize::Medium, epilogue: Epilogue::default() }
    }
}

/// A part of a shader that comes from a library file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `workgroup_index`: workgroups counted in x, then y, so that any number of them can be started.
    Grid,
    /// `Elem`, `Elem4`: the storage type.
    Element,
    /// `Out`: the type of the output, see [`Form::exact`].
    Out,
    /// `Best`, `better`: candidates of a search. `Lane` needs it.
    Best,
    /// `Lane`, `workgroup_bests`: searches by all lanes of a workgroup.
    Lane,
    /// `row_sum`: a few rows to a workgroup, and sums over each.
    Rows,
    /// `TileLane`, `multiply_tile`: a tile of x times w transposed.
    Tile,
    /// `AttendLane`, `attend`: a few queries against all keys.
    Attend,
    /// `activate`, `HAS_BIAS`, `HAS_SCALE`, `HAS_GATE`, `HAS_RESIDUAL`: what follows a product.
    Epilogue,
    /// `WIDTH4`: the vectors in a row held in registers, by head width.
    Width,
    /// `source_token`, `destination_token`: who may merge into whom.
    Split,
    /// `exp_f32`, `log_f32`, `erf_f32`: the same digits on every driver.
    Math,
}

/// A library file with its name for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibraryFile {
    /// Path below `shaders/`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! library {
    ($name:literal) => {
        LibraryFile {
            name: concat!("lib/", $name, ".wgsl"),
            text: include_str!(concat!("../shaders/lib/", $name, ".wgsl")),
        }
    };
}

impl Part {
    /// The files that hold this part for a variant and a form.
    pub fn files(self, variant: Variant, form: Form) -> Vec<LibraryFile> {
        let file = match self {
            Part::Tile => return tile(variant, form.tile_size),
            Part::Attend => return attend(variant, form.head_width),
            Part::Epilogue => return epilogue(form.epilogue),
            Part::Grid => library!("grid"),
            Part::Math => library!("math"),
            Part::Best => library!("best"),
            Part::Rows => library!("rows"),
            Part::Split => library!("split"),
            Part::Element => match variant.element {
                Element::F32 => library!("elem_f32"),
                Element::F16 => library!("elem_f16"),
            },
            Part::Out if form.exact => library!("out_f32"),
            Part::Out => library!("out_elem"),
            Part::Lane => match variant.lane {
                Lane::Tree => library!("lane_tree"),
                Lane::Subgroup => library!("lane_subgroup"),
            },
            Part::Width => match form.head_width {
                0..=16 => library!("width_16"),
                17..=32 => library!("width_32"),
                33..=64 => library!("width_64"),
                65..=80 => library!("width_80"),
                _ => library!("width_128"),
            },
        };
        vec![file]
    }
}

/// The files of what follows a product: its activation, then the rest.
fn epilogue(of: Epilogue) -> Vec<LibraryFile> {
    macro_rules! flag {
        ($there:expr, $on:literal, $off:literal) => {
            if $there { library!($on) } else { library!($off) }
        };
    }
    let activation = match of.activation {
        1 => library!("activation_gelu"),
        2 => library!("activation_gelu_tanh"),
        3 => library!("activation_quick_gelu"),
        4 => library!("activation_silu"),
        5 => library!("activation_relu"),
        6 => library!("activation_sigmoid"),
        _ => library!("activation_none"),
    };
    vec![
        activation,
        flag!(of.bias, "bias_on", "bias_off"),
        flag!(of.scale, "scale_on", "scale_off"),
        flag!(of.gate, "gate_on", "gate_off"),
        flag!(of.residual, "residual_on", "residual_off"),
    ]
}

/// The files of a tile: its size, what else it is made for, how it multiplies.
fn tile(variant: Variant, size: TileSize) -> Vec<LibraryFile> {
    match variant.tile {
        Tile::Direct => {
            let mut files = match variant.lane {
                Lane::Tree => vec![library!("rows_lane")],
                Lane::Subgroup => vec![library!("hand_round"), library!("rows_subgroup")],
            };
            files.push(library!("tile_direct"));
            files
        }
        Tile::Workgroup => {
            let size = match size {
                TileSize::Small => library!("workgroup_small"),
                TileSize::Medium => library!("workgroup_medium"),
                TileSize::Large => library!("workgroup_large"),
            };
            vec![size, library!("tile_workgroup")]
        }
        Tile::Cooperative { matrix, subgroup } => {
            let size = match size {
                TileSize::Small => library!("cooperative_small"),
                TileSize::Medium => library!("cooperative_medium"),
                TileSize::Large => library!("cooperative_large"),
            };
            let [matrix, subgroup] = matrices(matrix, subgroup);
            vec![matrix, subgroup, size, library!("tile_cooperative")]
        }
    }
}

/// The files of attention: by matrix units where they suit the head's width, else how keys are read, and the rest.
fn attend(variant: Variant, head_width: u32) -> Vec<LibraryFile> {
    let mut files = match (variant.tile, variant.lane) {
        (Tile::Cooperative { matrix, subgroup }, _) if variant.tile.attends(head_width) => {
            let [matrix, subgroup] = matrices(matrix, subgroup);
            return vec![matrix, subgroup, library!("attend_cooperative")];
        }
        (Tile::Direct, Lane::Tree) => vec![library!("keys_lane")],
        (Tile::Direct, Lane::Subgroup) => vec![library!("hand_round"), library!("keys_subgroup")],
        _ => vec![library!("keys_workgroup")],
    };
    files.push(library!("attend_lanes"));
    files
}

fn matrices(matrix: Matrix, subgroup: u32) -> [LibraryFile; 2] {
    let matrix = match matrix {
        Matrix::Eight => library!("cooperative_8"),
        Matrix::Sixteen => library!("cooperative_16"),
    };
    let subgroup = match subgroup {
        0..=8 => library!("subgroup_8"),
        9..=16 => library!("subgroup_16"),
        17..=32 => library!("subgroup_32"),
        _ => library!("subgroup_64"),
    };
    [matrix, subgroup]
}

/// A whole shader with the place of each file in it.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// WGSL, ready to compile.
    pub text: String,
    /// First line (from 1) of each file in `text`.
    starts: Vec<(usize, String)>,
}

impl KernelSpec {
    /// The shader of a variant and a form: what it enables, library files, then the kernel's own text.
    pub fn assemble(&self, variant: Variant, form: Form) -> Assembled {
        let files = self.parts.iter().flat_map(|part| part.files(variant, form));
        let own = (format!("{}.wgsl", self.name), self.source);
        let mut assembled = Assembled { text: String::new(), starts: Vec::new() };
        if variant.element == Element::F16 && self.parts.contains(&Part::Element) {
            assembled.text.push_str("enable f16;\n");
        }
        if self.by_matrices(variant, form) {
            assembled.text.push_str("enable wgpu_cooperative_matrix;\n");
        }
        for (name, text) in files.map(|f| (f.name.to_owned(), f.text)).chain([own]) {
            assembled.starts.push((assembled.text.lines().count() + 1, name));
            assembled.text.push_str(text);
        }
        assembled
    }
}

impl KernelSpec {
    /// Whether the shader of a variant and a form uses matrix units.
    pub fn by_matrices(&self, variant: Variant, form: Form) -> bool {
        let attends = || self.parts.contains(&Part::Attend) && variant.tile.attends(form.head_width);
        matches!(variant.tile, Tile::Cooperative { .. }) && (self.parts.contains(&Part::Tile) || attends())
    }
}

impl Assembled {
    /// The file and the line in it that a line of the assembled text came from.
    pub fn locate(&self, line: usize) -> String {
        let at = self.starts.iter().rev().find(|(start, _)| *start <= line);
        at.map_or_else(|| format!("line {line}"), |(start, file)| format!("{file}:{}", line - start + 1))
    }
}
