//! The architectures that are known by name, as data: a table for each library, and the way into them.

mod autoencoders;
mod dino;
mod dinov2;
mod eva;
mod families;
mod naflex;
mod named;
pub(crate) mod refused;
mod relative;
mod timm;

#[cfg(feature = "files")]
pub(crate) use named::named;
