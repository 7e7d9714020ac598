// Which token a source or a destination is. The kernel binds `split` and has `tokens`, `srcs` and
// `split_stride` in its Params. Without a list tokens alternate and the even ones are the sources. What a list holds is
// data and may be no token.
fn source_token(item: u32, i: u32) -> u32 {
    if HAS_SPLIT == 0u {
        return 2u * i;
    }
    return min(split[item * params.split_stride + i], params.tokens - 1u);
}

fn destination_token(item: u32, i: u32) -> u32 {
    if HAS_SPLIT == 0u {
        return 2u * i + 1u;
    }
    return min(split[item * params.split_stride + params.srcs + i], params.tokens - 1u);
}
