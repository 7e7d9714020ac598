//! What a kernel refuses, and in which words: always when the dispatch is made, always a typed error.

use tome_wgpu::kernels::*;
use tome_wgpu::vit::{Resample, Taps};
use tome_wgpu::{Dispatch, Element, Error, Gpu, Lane, Result, Tile, Variant, View};

use crate::common::{Rig, adapter, open, rigs, set};

/// A rig of the device with default limits.
fn plain() -> Option<&'static Rig> {
    rigs().first()
}

/// A buffer of its own for each argument, all large enough for the calls below.
fn calls(gpu: &Gpu) -> Vec<wgpu::Buffer> {
    (0..8).map(|i| gpu.buffer(&format!("argument {i}"), 4096).unwrap()).collect()
}

fn small_layer_norm<'a>(gpu: &Gpu, rows: u32, io: [View<'a>; 4]) -> Result<Dispatch> {
    let [x, weight, bias, y] = io;
    layer_norm(
        gpu,
        set!(layer_norm::Params::default(); rows, channels: 64, eps: 1e-6),
        set!(layer_norm::Io::new(x, y); weight: Some(weight), bias: Some(bias)),
    )
}

/// Every kernel with good parameters, changed by `change`.
macro_rules! call {
    ($gpu:expr, $b:expr, layer_norm, $($change:tt)*) => {
        layer_norm($gpu, set!(set!(layer_norm::Params::default(); rows: 4, channels: 64, eps: 1e-6); $($change)*),
            layer_norm::Io::new(&$b[0], &$b[3]).weight(&$b[1]).bias(&$b[2]))
    };
    ($gpu:expr, $b:expr, matmul, $($change:tt)*) => {
        matmul($gpu, set!(set!(matmul::Params::default(); rows: 4, inner: 8, columns: 5); $($change)*),
            matmul::Io::new(&$b[0], &$b[1], &$b[2]))
    };
    ($gpu:expr, $b:expr, attention, $($change:tt)*) => {
        attention($gpu, set!(attention::Params::fused(2, 5, 2, 8); $($change)*),
            attention::Io::new(&$b[0], &$b[0], &$b[0], &$b[1]))
    };
    ($gpu:expr, $b:expr, norm_heads, $($change:tt)*) => {
        norm_heads($gpu, set!(set!(norm_heads::Params::default(); rows: 5, parts: 2, heads: 2, head_width: 8, stride: 48, eps: 1e-6); $($change)*),
            norm_heads::Io::new(&$b[2]).weight(&$b[0]).bias(&$b[1]))
    };
    ($gpu:expr, $b:expr, key_metric, $($change:tt)*) => {
        key_metric($gpu, set!(set!(key_metric::Params::default(); rows: 5, heads: 2, head_width: 8, stride: 48, start: 16); $($change)*),
            key_metric::Io::new(&$b[0], &$b[1]))
    };
    ($gpu:expr, $b:expr, token_energy, $($change:tt)*) => {
        token_energy($gpu, set!(token_energy::Params::new([2, 5, 8], 1, 0.5); $($change)*),
            token_energy::Io::new(&$b[0], &$b[1]))
    };
    ($gpu:expr, $b:expr, split_tokens, $($change:tt)*) => {
        split_tokens($gpu, set!(set!(split_tokens::Params::default(); lists: 2, tokens: 9, protect: 1, srcs: 7, mode: split_tokens::SplitMode::Cells, columns: 4, cell_height: 2, cell_width: 2); $($change)*),
            split_tokens::Io::new(&$b[0]))
    };
    ($gpu:expr, $b:expr, find_matches, $($change:tt)*) => {
        find_matches($gpu, set!(set!(find_matches::Params::default(); batch: 2, tokens: 5, width: 8, protect: 1); $($change)*),
            find_matches::Io::new(&$b[0], &$b[1], &$b[2]))
    };
    ($gpu:expr, $b:expr, rank_matches, $($change:tt)*) => {
        rank_matches($gpu, set!(set!(rank_matches::Params::default(); batch: 2, tokens: 9, r: 2, protect: 1); $($change)*),
            rank_matches::Io::new(&$b[0], &$b[1], &$b[2], &$b[3]))
    };
    ($gpu:expr, $b:expr, choose_matches, $($change:tt)*) => {
        choose_matches($gpu, set!(set!(choose_matches::Params::default(); batch: 2, tokens: 9, r: 2, least: 1, protect: 1); $($change)*),
            choose_matches::Io::new(&$b[0], &$b[1], &$b[2], &$b[3], &$b[4]).size(&$b[5]))
    };
    ($gpu:expr, $b:expr, match_lines, $($change:tt)*) => {
        match_lines($gpu, set!(match_lines::Params::new(2, 8, 1, [2, 4], 1); $($change)*),
            match_lines::Io::new(&$b[0], &$b[1]))
    };
    ($gpu:expr, $b:expr, match_frames, $($change:tt)*) => {
        match_frames($gpu, set!(match_frames::Params::new(2, 8, 1, [2, 4], 1); $($change)*),
            match_frames::Io::new(&$b[0], &$b[1]))
    };
    ($gpu:expr, $b:expr, merge_tokens, $($change:tt)*) => {
        merge_tokens($gpu, set!(set!(merge_tokens::Params::default(); batch: 2, tokens: 9, r: 2, channels: 8); $($change)*),
            merge_tokens::Io::new(&$b[0], &$b[1], &$b[4], &$b[5]).size(&$b[2]))
    };
    ($gpu:expr, $b:expr, pool, $($change:tt)*) => {
        pool($gpu, set!(set!(pool::Params::default(); batch: 2, tokens: 5, channels: 8, first_token: 1, mode: pool::PoolMode::Mean); $($change)*),
            pool::Io::new(&$b[0], &$b[1]))
    };
    ($gpu:expr, $b:expr, unmerge, $($change:tt)*) => {
        unmerge($gpu, set!(set!(unmerge::Params::default(); batch: 2, tokens: 5, sources: 9, channels: 8); $($change)*),
            unmerge::Io::new(&$b[0], &$b[1], &$b[2]))
    };
    ($gpu:expr, $b:expr, embed_patches, $($change:tt)*) => {
        embed_patches($gpu, set!(embed_patches::Params::pictures(2, [3, 8, 8], [4, 4], 1, 8); $($change)*),
            embed_patches::Io::new(&$b[0], &$b[1], &$b[2], &$b[3]))
    };
    ($gpu:expr, $b:expr, merge_source, $($change:tt)*) => {
        merge_source($gpu, set!(merge_source::Params::new(2, 9, 2, 12); $($change)*),
            merge_source::Io::new(&$b[0], &$b[1]).source(&$b[2]))
    };
    ($gpu:expr, $b:expr, resize_image, $($change:tt)*) => {
        resize_image($gpu, set!(Taps::params(&[4, 5].map(|side| Taps::new(9, side, (0, side as u32), Resample::Box).unwrap()), 3, resize_image::Order::Rgb); $($change)*),
            resize_image::Io::new(&small_texture($gpu).create_view(&Default::default()), &$b[0], &$b[1], &$b[2], &$b[3]))
    };
}

/// A texture that a kernel may read.
fn small_texture(gpu: &Gpu) -> wgpu::Texture {
    gpu.device().create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: 9, height: 9, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    })
}

#[test]
fn good_calls_are_taken() {
    let Some(rig) = plain() else { return };
    let (gpu, b) = (&rig.gpu, calls(&rig.gpu));
    let dispatches = [
        call!(gpu, b, resize_image, first: 0),
        call!(gpu, b, embed_patches, batch: 2),
        call!(gpu, b, layer_norm, rows: 4),
        call!(gpu, b, matmul, rows: 4),
        call!(gpu, b, norm_heads, rows: 5),
        call!(gpu, b, attention, batch: 2),
        call!(gpu, b, key_metric, rows: 5),
        call!(gpu, b, token_energy, batch: 2),
        call!(gpu, b, split_tokens, lists: 2),
        call!(gpu, b, find_matches, batch: 2),
        call!(gpu, b, rank_matches, batch: 2),
        call!(gpu, b, choose_matches, batch: 2),
        call!(gpu, b, match_lines, batch: 2),
        call!(gpu, b, match_frames, batch: 2),
        call!(gpu, b, merge_tokens, batch: 2),
        call!(gpu, b, merge_source, batch: 2),
        call!(gpu, b, pool, batch: 2),
        call!(gpu, b, unmerge, batch: 2),
    ];
    for (dispatch, spec) in dispatches.into_iter().zip(ALL) {
        let dispatch = dispatch.unwrap();
        assert_eq!(dispatch.kernel(), spec.name);
        assert!(format!("{dispatch}").contains(spec.name));
    }
}

#[test]
fn an_empty_batch_is_a_dispatch_of_nothing() {
    for rig in rigs() {
        let (gpu, b) = (&rig.gpu, calls(&rig.gpu));
        let dispatches = [
            call!(gpu, b, embed_patches, batch: 0),
            call!(gpu, b, layer_norm, rows: 0),
            call!(gpu, b, matmul, rows: 0),
            call!(gpu, b, norm_heads, rows: 0),
            call!(gpu, b, attention, batch: 0),
            call!(gpu, b, key_metric, rows: 0),
            call!(gpu, b, token_energy, batch: 0),
            call!(gpu, b, split_tokens, lists: 0),
            call!(gpu, b, find_matches, batch: 0),
            call!(gpu, b, rank_matches, batch: 0),
            call!(gpu, b, choose_matches, batch: 0),
            call!(gpu, b, match_lines, batch: 0),
            call!(gpu, b, match_frames, batch: 0),
            call!(gpu, b, merge_tokens, batch: 0),
            call!(gpu, b, merge_source, batch: 0),
            call!(gpu, b, pool, batch: 0),
            call!(gpu, b, unmerge, batch: 0),
        ];
        let dispatches: Vec<_> = dispatches.into_iter().map(|d| d.unwrap()).collect();
        for dispatch in &dispatches {
            assert_eq!(dispatch.workgroups()[0], 0, "{dispatch}");
        }
        // An error on the way would be raised by the device's handler.
        rig.run(&dispatches);
        rig.wait();
    }
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let Some(rig) = plain() else { return };
    let (gpu, b) = (&rig.gpu, calls(&rig.gpu));
    let huge = 0x1_0001;
    // A bias for queries behind tokens, by a grid, with positions or without.
    let biased = |skip: u32, [rows, columns]: [u32; 2], both: bool| {
        let params = set!(attention::Params::fused(2, 5, 2, 8); skip, rows, columns);
        let io = attention::Io::new(&b[0], &b[0], &b[0], &b[1]).bias(&b[2]);
        attention(gpu, params, if both { io.position(&b[3]) } else { io })
    };
    let refused = [
        (call!(gpu, b, layer_norm, channels: 0), "channels is 0"),
        (call!(gpu, b, layer_norm, channels: 6), "channels is 6"),
        (call!(gpu, b, matmul, inner: 0), "inner is 0"),
        (call!(gpu, b, matmul, inner: 7), "inner is 7"),
        (call!(gpu, b, matmul, columns: 0), "columns is 0"),
        (call!(gpu, b, matmul, rows: huge, columns: huge), "y [65537, 65537] has more than 2^32"),
        (call!(gpu, b, norm_heads, head_width: 10), "head_width is 10"),
        (call!(gpu, b, norm_heads, heads: 0), "parts and heads must be positive"),
        (call!(gpu, b, norm_heads, stride: 49), "stride is 49"),
        (call!(gpu, b, norm_heads, stride: 28), "stride 28 is less than all parts, 32"),
        (call!(gpu, b, attention, queries: 0), "queries, tokens and heads"),
        (call!(gpu, b, attention, q_stride: 12), "q_stride 12 is less than a token, 16"),
        (call!(gpu, b, attention, q_image: 2), "multiples of 4"),
        (biased(0, [0, 5], true), "rows and columns of a bias"),
        (biased(0, [3, 0], true), "rows and columns of a bias"),
        (biased(0, [1, 5], false), "`position` and `bias` come together"),
        (biased(1, [1, 5], true), "not for 5 behind 1"),
        (biased(0, [1 << 31, 1 << 31], true), "is too large"),
        (call!(gpu, b, attention, head_width: 0), "head_width is 0"),
        (call!(gpu, b, attention, head_width: 6), "head_width is 6"),
        (call!(gpu, b, attention, head_width: 132, stride: 1000), "128 at most"),
        (call!(gpu, b, attention, tokens: 0), "queries, tokens and heads"),
        (call!(gpu, b, attention, heads: 0), "queries, tokens and heads"),
        (call!(gpu, b, attention, stride: 12), "stride 12 is less than a token, 16"),
        (call!(gpu, b, attention, stride: 50), "stride is 50"),
        (call!(gpu, b, attention, k_start: 2), "multiples of 4"),
        (call!(gpu, b, attention, batch: huge, tokens: huge), "more than 2^32"),
        (call!(gpu, b, key_metric, heads: 0), "heads is 0"),
        (call!(gpu, b, key_metric, head_width: 10), "head_width is 10"),
        (call!(gpu, b, key_metric, stride: 49), "stride is 49"),
        (call!(gpu, b, key_metric, stride: 12), "stride 12 is less than a token, 16"),
        (call!(gpu, b, key_metric, start: 3), "start is 3"),
        (call!(gpu, b, find_matches, width: 0), "width is 0"),
        (call!(gpu, b, find_matches, tokens: 0), "tokens is 0"),
        (call!(gpu, b, find_matches, by_size: -1.0), "by_size is -1"),
        (call!(gpu, b, find_matches, by_size: f32::NAN), "by_size is NaN"),
        (call!(gpu, b, find_matches, by_size: 0.5, similarity: Similarity::Dot), "by_size is for cosines"),
        (call!(gpu, b, split_tokens, protect: 8), "7 sources, 8 of them protected, of 9 tokens"),
        (call!(gpu, b, split_tokens, srcs: 10), "10 sources, 1 of them protected, of 9 tokens"),
        (call!(gpu, b, split_tokens, columns: 3), "8 unprotected tokens do not fill rows of 3"),
        (call!(gpu, b, split_tokens, cell_width: 0), "place 0 in a cell of 2 x 0"),
        (call!(gpu, b, split_tokens, place: 4), "place 4 in a cell of 2 x 2"),
        (call!(gpu, b, split_tokens, srcs: 6), "6 sources of 9 tokens, and 2 cells"),
        (call!(gpu, b, split_tokens, mode: SplitMode::Energy), "order by energy needs energies"),
        (
            call!(gpu, b, split_tokens, mode: SplitMode::Energy, srcs: 4),
            "5 destinations, and as many that merge, of 8",
        ),
        (call!(gpu, b, token_energy, width: 6), "width is 6"),
        (call!(gpu, b, token_energy, tokens: 0), "tokens is 0"),
        (call!(gpu, b, token_energy, margin: f32::NAN), "margin is NaN"),
        (call!(gpu, b, rank_matches, r: 5), "r is 5; 9 tokens, 1 of them protected, allow 4"),
        (call!(gpu, b, rank_matches, protect: 10, r: 0), "10 of 9 tokens"),
        (call!(gpu, b, rank_matches, tokens: 0, protect: 0, r: 0), "of 0 tokens"),
        (call!(gpu, b, choose_matches, least: 5), "least is 5; 9 tokens, 1 of them protected, allow 4"),
        (call!(gpu, b, choose_matches, protect: 10, least: 0), "10 of 9 tokens protected"),
        (call!(gpu, b, choose_matches, tokens: 0, protect: 0, least: 0), "of 0 tokens"),
        (call!(gpu, b, choose_matches, threshold: f32::NAN), "threshold is NaN"),
        (call!(gpu, b, match_lines, width: 6), "width is 6"),
        (call!(gpu, b, match_lines, tokens: 10), "10 tokens, 1 of them protected, are no grids of 2 x 4"),
        (call!(gpu, b, match_lines, protect: 10), "10 of them protected"),
        (call!(gpu, b, match_lines, rows: 0), "no grids of 0 x 4"),
        (call!(gpu, b, match_lines, rows: 1 << 31, columns: 2), "no grids of 2147483648 x 2"),
        (call!(gpu, b, match_lines, lost: 3), "each line loses 3 of 4 tokens, more than half"),
        (
            call!(gpu, b, match_lines, columns: 1025, rows: 1, tokens: 1026),
            "a line of 1025 tokens; 1024 are the most",
        ),
        (call!(gpu, b, match_frames, width: 6), "width is 6"),
        (call!(gpu, b, match_frames, tokens: 10), "10 tokens, 1 of them protected, are no 2 frame groups"),
        (call!(gpu, b, match_frames, protect: 10), "10 of them protected"),
        (call!(gpu, b, match_frames, groups: 0), "are no 0 frame groups"),
        (call!(gpu, b, match_frames, lost: 3), "each frame group loses 3 of 4 tokens, more than half"),
        (
            call!(gpu, b, match_frames, groups: 1, tokens: 2050),
            "a frame group of 2049 tokens; 2048 are the most",
        ),
        (call!(gpu, b, match_frames, by_size: 2.5), "by_size is 2.5"),
        (call!(gpu, b, match_frames, by_size: 1.0, similarity: Similarity::Dot), "has no largest value"),
        (call!(gpu, b, merge_tokens, channels: 9), "channels is 9"),
        (call!(gpu, b, merge_tokens, r: 9), "r is 9 of 9"),
        (call!(gpu, b, pool, channels: 3), "channels is 3"),
        (call!(gpu, b, pool, first_token: 5), "no token from 5 on, of 5"),
        (call!(gpu, b, pool, mode: pool::PoolMode::MeanBySize), "needs sizes"),
        (call!(gpu, b, pool, mode: pool::PoolMode::MeanBefore, first_token: 0), "no tokens before 0"),
        (call!(gpu, b, unmerge, channels: 0), "channels is 0"),
        (call!(gpu, b, unmerge, tokens: 0), "0 tokens"),
        (call!(gpu, b, unmerge, sources: 0), "from 0"),
        (call!(gpu, b, unmerge, first_source: 9), "from token 9 of 9"),
        (call!(gpu, b, embed_patches, patch_width: 0), "a patch is empty"),
        (call!(gpu, b, embed_patches, image_channels: 0), "a patch is empty"),
        (call!(gpu, b, embed_patches, patch_height: 9), "larger than the image, [1, 8, 8]"),
        (call!(gpu, b, embed_patches, channels: 5), "channels is 5"),
        (call!(gpu, b, embed_patches, stride_width: 0), "strides of [1, 4, 0]"),
        (call!(gpu, b, embed_patches, patch_frames: 2), "larger than the image, [1, 8, 8]"),
        (call!(gpu, b, merge_source, r: 9), "r is 9 of 9"),
    ];
    for (result, words) in refused {
        match result {
            Err(error @ Error::Params { .. }) => {
                assert!(error.to_string().contains(words), "`{error}` does not say `{words}`");
            }
            other => panic!("instead of Params with `{words}`: {other:?}"),
        }
    }
}

#[test]
fn products_past_32_bits_are_refused_and_not_wrapped() {
    let Some(rig) = plain() else { return };
    let (gpu, b) = (&rig.gpu, calls(&rig.gpu));
    let most = u32::MAX;
    let refused = [
        call!(gpu, b, layer_norm, rows: most / 64 + 2),
        call!(gpu, b, matmul, rows: most, inner: most - 3),
        call!(gpu, b, attention, batch: 1 << 30, tokens: 16),
        call!(gpu, b, attention, q_start: most - 3),
        call!(gpu, b, attention, q_image: most - 3),
        call!(gpu, b, norm_heads, rows: most),
        call!(gpu, b, norm_heads, rows: 1 << 28, stride: 1 << 8),
        call!(gpu, b, key_metric, rows: most),
        call!(gpu, b, key_metric, start: most - 3),
        call!(gpu, b, find_matches, batch: 1 << 30, tokens: 16),
        call!(gpu, b, rank_matches, batch: 1 << 30),
        call!(gpu, b, rank_matches, tokens: most, r: 0),
        call!(gpu, b, rank_matches, batch: 0, tokens: most / 3 + 2, r: 0),
        call!(gpu, b, choose_matches, batch: 1 << 30),
        call!(gpu, b, choose_matches, batch: 0, tokens: most / 3 + 2, least: 0),
        call!(gpu, b, match_lines, batch: 1 << 30),
        call!(gpu, b, match_lines, batch: 0, tokens: most / 8 * 8 + 1),
        call!(gpu, b, match_frames, batch: 1 << 30),
        call!(gpu, b, match_frames, batch: 0, groups: most / 8, tokens: most / 8 * 8 + 1),
        call!(gpu, b, merge_tokens, tokens: most, r: 0),
        call!(gpu, b, merge_source, sources: most),
        call!(gpu, b, merge_source, tokens: most, r: 0),
        call!(gpu, b, pool, batch: 1 << 30),
        call!(gpu, b, unmerge, sources: most),
        call!(gpu, b, embed_patches, batch: 1 << 30),
        call!(gpu, b, embed_patches, prefix: most),
        call!(gpu, b, embed_patches, prefix: most - 2, batch: 1, channels: 4),
        call!(gpu, b, embed_patches, height: 1 << 20, width: 1 << 20),
        call!(gpu, b, embed_patches, image_channels: 1 << 30),
        call!(gpu, b, resize_image, height: 1 << 20, width: 1 << 20),
        call!(gpu, b, resize_image, taps_across: most),
        call!(gpu, b, resize_image, first: most - 3),
    ];
    for (i, result) in refused.into_iter().enumerate() {
        assert!(
            matches!(result, Err(Error::Params { .. } | Error::Limit { .. } | Error::BufferTooSmall { .. })),
            "call {i}: {result:?}"
        );
    }
}

#[test]
fn buffers_that_do_not_fit_are_named() {
    let Some(rig) = plain() else { return };
    let (gpu, b) = (&rig.gpu, calls(&rig.gpu));
    let whole = [0, 1, 2, 3].map(|i| View::from(&b[i]));
    let with = |i: usize, view| {
        let mut io = whole;
        io[i] = view;
        small_layer_norm(gpu, 4, io)
    };
    let short = gpu.buffer("short", 60).unwrap();
    let error = with(1, View::from(&short)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::BufferTooSmall { kernel: "layer_norm", binding: "weight", need: 256, have: 240 }
        ),
        "{error}"
    );
    // 4,096 elements less 3,904 are 192: too few for 4 rows. One alignment before that they are just enough.
    let error = with(0, View::at(&b[0], 3904 * 4)).unwrap_err();
    assert!(matches!(error, Error::BufferTooSmall { binding: "x", need: 1024, have: 768, .. }), "{error}");
    with(0, View::at(&b[0], 3840 * 4)).unwrap();
    let error = with(0, View::at(&b[0], 1 << 40)).unwrap_err();
    assert!(matches!(error, Error::BufferTooSmall { binding: "x", have: 0, .. }), "{error}");
    let error = with(3, View::at(&b[3], 64)).unwrap_err();
    assert!(matches!(error, Error::BufferOffset { binding: "y", offset: 64, alignment: 256, .. }), "{error}");

    let copied = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4096,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let error = with(2, View::from(&copied)).unwrap_err();
    assert!(matches!(error, Error::BufferUsage { kernel: "layer_norm", binding: "bias" }), "{error}");

    // Written and read in one buffer, even where the parts are apart; twice read is good.
    let error = with(3, View::at(&b[0], 8192)).unwrap_err();
    assert!(matches!(error, Error::BufferAliased { write: "y", other: "x", .. }), "{error}");
    with(2, whole[1]).unwrap();
    let attention = attention(
        gpu,
        attention::Params::fused(1, 4, 1, 8),
        set!(attention::Io::new(whole[0], whole[0], whole[0], whole[1]); size: Some(whole[1])),
    );
    assert!(
        matches!(attention, Err(Error::BufferAliased { write: "y", other: "size", .. })),
        "{attention:?}"
    );
}

#[test]
fn a_texture_is_no_buffer() {
    let Some(rig) = plain() else { return };
    let b = calls(&rig.gpu);
    let texture = small_texture(&rig.gpu).create_view(&Default::default());
    let io = [View::from(&texture), View::from(&b[1]), View::from(&b[2]), View::from(&b[3])];
    let error = small_layer_norm(&rig.gpu, 4, io).unwrap_err();
    assert!(matches!(error, Error::BindingKind { kernel: "layer_norm", binding: "x" }), "{error}");
}

#[test]
fn a_buffer_of_another_device_is_refused() {
    let (Some(rig), Some(adapter)) = (plain(), adapter()) else { return };
    let other = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let theirs = Gpu::new(&other.device).unwrap().buffer("theirs", 4096).unwrap();
    let b = calls(&rig.gpu);
    let io = [View::from(&b[0]), View::from(&b[1]), View::from(&theirs), View::from(&b[3])];
    let error = small_layer_norm(&rig.gpu, 4, io).unwrap_err();
    assert!(matches!(error, Error::Device { .. }), "{error}");
}

#[test]
fn limits_of_the_device_are_named() {
    let (Some(rig), Some(adapter)) = (plain(), adapter()) else { return };
    let (gpu, b) = (&rig.gpu, calls(&rig.gpu));
    // A larger buffer than one binding may be, 128 MiB, which nothing touches.
    let large = |mib: u64| {
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: mib << 20,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        })
    };
    let (x, y) = (large(160), large(160));
    let io = [View::from(&x), View::from(&b[1]), View::from(&b[2]), View::from(&y)];
    // 128 MiB are 524,288 rows of 64.
    small_layer_norm(gpu, 524_288, io).unwrap();
    let error = small_layer_norm(gpu, 524_289, io).unwrap_err();
    assert!(
        matches!(error, Error::Limit { limit: "max_storage_buffer_binding_size", need: 134_217_984, .. }),
        "{error}"
    );

    let error = gpu.buffer("large", (128 << 18) + 1).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: "max_storage_buffer_binding_size", .. }), "{error}");
    let error = gpu.buffer("absurd", u64::MAX).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: "max_buffer_size", .. }), "{error}");

    // More than 65,535 x 65,535 workgroups.
    let error = call!(gpu, b, key_metric, rows: u32::MAX, heads: 1, head_width: 4, stride: 4).unwrap_err();
    assert!(matches!(error, Error::Limit { .. } | Error::Params { .. }), "{error}");

    let weak = open(adapter, wgpu::Features::empty(), wgpu::Limits::downlevel_defaults());
    let error = Gpu::new(&weak.device).unwrap_err();
    let limit = "max_storage_buffers_per_shader_stage";
    assert!(matches!(&error, Error::Limit { limit: l, need: 8, have: 4, .. } if *l == limit), "{error}");
}

#[test]
fn a_variant_that_the_device_was_not_made_for_is_refused() {
    let Some(rig) = plain() else { return };
    for variant in Variant::all() {
        let made = Gpu::with_variant(rig.gpu.device(), variant);
        let fits = variant.tile == Tile::Direct || !rig.gpu.caps().fxc;
        let needs_nothing = variant.lane == Lane::Tree && variant.element == Element::F32 && fits;
        assert_eq!(made.is_ok(), needs_nothing, "{}", variant.id());
        if let Err(error) = made {
            assert!(
                matches!(&error, Error::Device { .. }) && error.to_string().contains(&variant.id()),
                "{error}"
            );
        }
    }
}
