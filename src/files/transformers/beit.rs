//! BEiT and data2vec: a bias of attention by how far apart patches lie, LayerScale, no bias for keys.

use super::class::Head;
use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::{Fields, unsupported};
use crate::files::names::{self, Layout};
use crate::files::processor;
use crate::vit::{BiasSource, Config, Pool, Relative, TableResample};

const BEIT: Family = Family { name: "beit", pictures: processor::SIGLIP, own: beit, ..VIT };

pub(super) const FAMILIES: [Family; 2] = [BEIT, Family { name: "data2vec-vision", ..BEIT }];

fn beit(config: &mut Config, tower: &mut Fields, _head: Head) -> Result<&'static Layout> {
    let mut says = |field: &str| Ok(tower.take(field)?.unwrap_or(false));
    config.pos_embed = says("use_absolute_position_embeddings")?;
    let table = BiasSource::Table(TableResample::Even);
    let [of_blocks, shared] =
        [says("use_relative_position_bias")?, says("use_shared_relative_position_bias")?];
    config.relative = (of_blocks || shared).then(|| Relative { of_blocks, ..Relative::new(table, shared) });
    let [rows, columns] = config.grid();
    if config.relative.is_some() && rows != columns {
        let why = "the library takes the rows of a table that is no square for its columns";
        return Err(unsupported("image_size", format!("{:?}", config.image_size), why));
    }
    config.layer_scale = tower.take::<f64>("layer_scale_init_value")?.unwrap_or(0.1) > 0.0;
    if tower.take("use_mean_pooling")?.unwrap_or(true) {
        (config.pool, config.fc_norm) = (Pool::Average, true);
    }
    Ok(&names::BEIT)
}
