//! A network's numbers in the shapes that the kernels read, on the device or on the CPU.

/// A norm's numbers.
#[derive(Clone, Debug)]
pub struct Norm<T> {
    /// `[channels]`
    pub weight: T,
    /// `[channels]`; an RMSNorm has none.
    pub bias: Option<T>,
}

/// A linear layer's numbers, with what is [folded](Parameters) into them.
#[derive(Clone, Debug)]
pub struct Linear<T> {
    /// `[columns, inner]`
    pub weight: T,
    /// `[columns]`
    pub bias: Option<T>,
    /// `[columns / 2, 2]`: what pairs of columns are turned by, where there are rotary positions, see
    /// [`matmul`](crate::kernels::matmul()).
    pub turns: Option<T>,
    /// Rows of the weight.
    pub columns: u32,
    /// Columns of the weight.
    pub inner: u32,
}

/// One block's numbers. Its norms have none left but those of q and k: they only bring rows to norm.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Block<T> {
    /// To q, k and v, `[3, heads, head_width]`. With rotary positions the two values of a pair are neighbours in q and k.
    pub qkv: Linear<T>,
    /// Of attention's scores, where it has one, see [`attention`](crate::kernels::attention()).
    pub bias: Option<T>,
    /// Of each head's values of q and of k, `[2, head_width]`.
    pub qk_norm: Option<Norm<T>>,
    /// After attention.
    pub proj: Linear<T>,
    /// Into the MLP.
    pub fc1: Linear<T>,
    /// Into the MLP's gate: the activation is its, and what `fc1` gives is multiplied by it.
    pub gate: Option<Linear<T>>,
    /// Out of the MLP.
    pub fc2: Linear<T>,
    /// Behind attention and behind the MLP, where they come there.
    pub norms: Vec<Norm<T>>,
}

/// The numbers of an attention-pooling head, timm's `AttentionPoolLatent` or AIMv2's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttentionPool<T> {
    /// `[channels]`: the learned query, already projected and scaled.
    pub query: T,
    /// To k and v, `[2, heads, head_width]`.
    pub kv: Linear<T>,
    /// After attention.
    pub proj: Linear<T>,
    /// The MLP behind it; AIMv2 has none.
    pub mlp: Option<PoolMlp<T>>,
}

/// The MLP of an attention-pooling head, which is added to what enters it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolMlp<T> {
    /// Before it.
    pub norm: Norm<T>,
    /// Into it.
    pub fc1: Linear<T>,
    /// Out of it.
    pub fc2: Linear<T>,
}

/// In which type a tensor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// The variant's storage type: the weights of the blocks.
    Elem,
    /// 32-bit floats: vectors, positions, and all after the blocks.
    F32,
}

/// All of a network's numbers; `T` is a buffer on the device or a vector.
///
/// Constants before and behind a linear layer of a block are folded into that layer: a norm's weight and
/// bias into what reads it, LayerScale's gamma into what it scales, and attention's `head_width^-0.5` into what makes
/// the queries, so that they come out scaled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameters<T> {
    /// `[channels, patch values rounded up to 4]`
    pub patch: T,
    /// `[tokens, channels]`, what each token starts from: the tokens before the patches with their positions, then for
    /// each patch the projection's bias, where it has one, and the patch's position.
    pub base: T,
    /// From a row of a packed input to whether there is a patch.
    pub there: Option<Linear<T>>,
    /// Of the patches, and `[patches, channels]`, their positions, which are added to them behind it instead of in `base`.
    pub embed_norm: Option<(Norm<T>, T)>,
    /// Before the blocks.
    pub norm_pre: Option<Norm<T>>,
    /// The blocks in order.
    pub blocks: Vec<Block<T>>,
    /// After the blocks, for every token.
    pub norm: Option<Norm<T>>,
    /// After pooling.
    pub fc_norm: Option<Norm<T>>,
    /// From the tokens to one row.
    pub pool: Option<AttentionPool<T>>,
    /// To the classes, one for each pooled row, their results to be added; empty where there are none.
    pub heads: Vec<Linear<T>>,
}

impl<T> Parameters<T> {
    /// Every linear layer.
    #[cfg(feature = "cpu")]
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear<T>> {
        let of_blocks = self
            .blocks
            .iter_mut()
            .flat_map(|b| [&mut b.qkv, &mut b.proj, &mut b.fc1, &mut b.fc2].into_iter().chain(&mut b.gate));
        let of_pool = self.pool.iter_mut().flat_map(|p| {
            let mlp = p.mlp.iter_mut().flat_map(|mlp| [&mut mlp.fc1, &mut mlp.fc2]);
            [&mut p.kv, &mut p.proj].into_iter().chain(mlp)
        });
        of_blocks.chain(of_pool).chain(&mut self.heads).chain(&mut self.there)
    }
}
