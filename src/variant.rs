//! The ways in which kernels are put together: storage types, reductions, tiles.

/// Type of the stored activations and weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// 16-bit floats; sums, sizes, metrics and the residual stream stay 32-bit.
    F16,
}

impl Element {
    /// `f32` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
        }
    }

    /// Bytes of a value.
    pub fn bytes(self) -> u64 {
        match self {
            Element::F32 => 4,
            Element::F16 => 2,
        }
    }

    /// Bits of a value.
    pub(crate) fn bits(self) -> u32 {
        8 * self.bytes() as u32
    }
}

/// The way the lanes of a workgroup reduce a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A tree in workgroup memory; runs everywhere.
    Tree,
    /// Subgroup operations, then workgroup memory between subgroups.
    Subgroup,
}

/// The way a workgroup multiplies a tile of two matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// Each lane reads what it needs from the buffers: fastest on software drivers.
    Direct,
    /// The workgroup shares slabs of both operands in workgroup memory: for every GPU.
    Workgroup,
    /// The same, multiplied by the device's matrix units (cooperative matrices, tensor cores): 16-bit storage only.
    Cooperative {
        /// Their shape.
        matrix: Matrix,
        /// Lanes of a subgroup: 8, 16, 32 or 64.
        subgroup: u32,
    },
}

/// Square matrices that a subgroup multiplies at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// 8 x 8 x 8: Metal.
    Eight,
    /// 16 x 16 x 16: Vulkan on GPUs.
    Sixteen,
}

impl Matrix {
    /// Rows, columns, and inner values.
    pub fn rows(self) -> u32 {
        match self {
            Matrix::Eight => 8,
            Matrix::Sixteen => 16,
        }
    }

    /// Bytes of workgroup memory of the kernel that takes the most.
    pub fn memory(self) -> u32 {
        match self {
            Matrix::Eight => 27_776,
            Matrix::Sixteen => 47_104,
        }
    }

    /// How a product's tile is shared out among subgroups of so many lanes. Where a subgroup has 32 lanes and matrices are
    /// 16 x 16, as on NVIDIA's GPUs, that is what an H200 was fastest with; elsewhere nobody has measured.
    pub(crate) fn sharing(self, subgroup: u32, size: TileSize) -> Sharing {
        let square = |span| Sharing { down: 2, across: 2, rise: span, span, strip: span, slab: 8 };
        match (self, subgroup, size) {
            (Matrix::Sixteen, ..=32, TileSize::Small) => Sharing { slab: 16, ..square(1) },
            (Matrix::Sixteen, ..=32, TileSize::Medium) => Sharing { rise: 1, slab: 16, ..square(2) },
            (Matrix::Sixteen, ..=32, TileSize::Large) => {
                Sharing { down: 2, across: 4, rise: 4, span: 2, strip: 1, slab: 16 }
            }
            (_, _, TileSize::Small) => square(1),
            (_, _, TileSize::Medium) => square(2),
            (_, _, TileSize::Large) => square(4),
        }
    }
}

/// How a tile by matrix units is shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sharing {
    /// Subgroups down and across the tile.
    pub down: u32,
    pub across: u32,
    /// A subgroup's matrices down and across: at most four.
    pub rise: u32,
    pub span: u32,
    /// Matrices side by side that go out at once: all of a row, unless workgroup memory is short.
    pub strip: u32,
    /// Vectors of four inner values in a slab.
    pub slab: u32,
}

/// The part of a product that one workgroup computes: large tiles read less, small ones occupy more of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileSize {
    /// 32 x 32 (by matrices of eight 16 x 16).
    Small,
    /// 64 x 64 (32 x 32; by matrices of sixteen 32 x 64 where subgroups have 32 lanes).
    Medium,
    /// 128 x 128 (64 x 64).
    Large,
}

/// The rule by which the size of tiles is chosen for a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileChoice {
    /// The largest of which there are so many: as many workgroups as occupy the device.
    Fill(u32),
    /// Always the same.
    Always(TileSize),
}

/// One choice of all swapped parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Storage type of activations.
    pub element: Element,
    /// Storage type of weights.
    pub weights: Element,
    /// Reductions.
    pub lane: Lane,
    /// Matrix tiles.
    pub tile: Tile,
}

impl Variant {
    /// The variant that stores everything in one type, by tiles of one kind, with reductions that run everywhere.
    pub fn new(element: Element, tile: Tile) -> Self {
        Variant { element, weights: element, lane: Lane::Tree, tile }
    }

    /// Every variant.
    pub fn all() -> impl Iterator<Item = Variant> {
        let of = |element, lane| {
            let matrices = (element == Element::F16 && lane == Lane::Subgroup).then(Tile::cooperative);
            let tiles = [Tile::Workgroup, Tile::Direct].into_iter().chain(matrices.into_iter().flatten());
            tiles.map(move |tile| Variant { lane, ..Variant::new(element, tile) })
        };
        let pairs =
            [Element::F32, Element::F16].into_iter().flat_map(|e| [(e, Lane::Tree), (e, Lane::Subgroup)]);
        pairs.flat_map(move |(element, lane)| of(element, lane))
    }

    /// The name under which tests and benches list it, such as `f32-subgroup-workgroup`.
    pub fn id(&self) -> String {
        let Variant { element, weights, lane, tile, .. } = self;
        let elements = match weights == element {
            true => format!("{element:?}"),
            false => format!("{element:?}-weights-{weights:?}"),
        };
        let tile = match tile {
            Tile::Cooperative { matrix, subgroup } => format!("matrices{}x{subgroup}", matrix.rows()),
            plain => format!("{plain:?}"),
        };
        format!("{elements}-{lane:?}-{tile}").to_ascii_lowercase()
    }
}

impl Tile {
    /// Every tile by matrix units.
    pub fn cooperative() -> impl Iterator<Item = Tile> {
        let of = |matrix: Matrix, subgroups: [u32; 3]| {
            subgroups.into_iter().map(move |subgroup| Tile::Cooperative { matrix, subgroup })
        };
        of(Matrix::Eight, [8, 16, 32]).chain(of(Matrix::Sixteen, [16, 32, 64]))
    }

    /// Its sizes, from small to large.
    pub fn sizes(self) -> &'static [TileSize] {
        match self {
            Tile::Direct => &[TileSize::Medium],
            _ => &[TileSize::Small, TileSize::Medium, TileSize::Large],
        }
    }

    /// Rows and columns that one workgroup covers: the constants `TILE_ROWS` and `TILE_COLUMNS` of its files.
    pub fn covers(self, size: TileSize) -> [u32; 2] {
        let of = |small: u32| match size {
            TileSize::Small => [small; 2],
            TileSize::Medium => [2 * small; 2],
            TileSize::Large => [4 * small; 2],
        };
        match self {
            Tile::Direct => [32, 64],
            Tile::Workgroup => of(32),
            Tile::Cooperative { matrix, subgroup } => {
                let Sharing { down, across, rise, span, .. } = matrix.sharing(subgroup, size);
                [down * rise * matrix.rows(), across * span * matrix.rows()]
            }
        }
    }

    /// Inner values in a slab of its tiles: `SLAB` of its files, times four.
    pub(crate) fn slab(self, size: TileSize) -> u32 {
        4 * match self {
            Tile::Direct => 1,
            Tile::Workgroup => self.lane_sums(size)[2],
            Tile::Cooperative { matrix, subgroup } => matrix.sharing(subgroup, size).slab,
        }
    }

    /// Of tiles in workgroup memory: a lane's sums down and across, and vectors of four inner values in a slab.
    pub(crate) fn lane_sums(self, size: TileSize) -> [u32; 3] {
        match size {
            TileSize::Large => [8, 8, 2],
            TileSize::Medium => [8, 4, 4],
            TileSize::Small => [4, 4, 4],
        }
    }

    /// Queries that a workgroup of attention answers: `QUERIES` of its files.
    pub fn queries(self) -> u32 {
        match self {
            Tile::Cooperative { matrix, .. } => 4 * matrix.rows(),
            Tile::Workgroup => 64,
            Tile::Direct => 16,
        }
    }

    /// The size for a product of so many rows and columns.
    pub(crate) fn size(self, choice: TileChoice, rows: u32, columns: u32) -> TileSize {
        let of = |size| {
            let [high, wide] = self.covers(size);
            u64::from(rows.div_ceil(high)) * u64::from(columns.div_ceil(wide))
        };
        let wanted = |size: TileSize| match choice {
            TileChoice::Fill(workgroups) => of(size) >= workgroups.into(),
            TileChoice::Always(always) => size == always,
        };
        let sizes = self.sizes();
        let chosen = sizes.iter().rev().copied().find(|&size| wanted(size));
        chosen.unwrap_or(sizes[0])
    }
}
