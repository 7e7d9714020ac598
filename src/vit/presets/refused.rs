//! Architectures of timm that are known and not run, and why.

/// A part of their names, and the reason.
const REFUSED: [(&str, &str); 11] = [
    ("samvit_", WINDOWS),
    ("swin", WINDOWS),
    ("_mci_", CONVOLUTIONS),
    ("_r50_s", CONVOLUTIONS),
    ("_r26_s", CONVOLUTIONS),
    ("_r_s16_", CONVOLUTIONS),
    ("vit_dlittle_", DIFFERENTIAL),
    ("vit_dwee_", DIFFERENTIAL),
    ("vit_dpwee_", DIFFERENTIAL),
    ("vit_pe_core_gigantic_", "heads of its attention pooling are 192 wide, and 128 is the most"),
    ("18x2_", "its blocks attend twice side by side, and merging goes by the keys of one"),
];
/// Of Swin's kind.
pub(crate) const WINDOWS: &str = "its attention is within windows of the grid, which merged tokens leave";
const CONVOLUTIONS: &str = "its patches come out of a network of convolutions";
const DIFFERENTIAL: &str = "its attention is the difference of two";

/// The reason why an architecture of this name is not run, where it is known.
pub(super) fn why(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(part, _)| name.contains(part)).map(|&(_, why)| why)
}
