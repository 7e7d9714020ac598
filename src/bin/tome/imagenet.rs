//! Names of ImageNet's classes, for networks whose files name none.

use tome_wgpu::vit::{Config, Scores};

/// Every class in order, with the sets that it is part of.
const NAMES: &str = include_str!("../../../models/imagenet/names.txt");

/// Gives the classes names where the config has none and so many are a set of ImageNet's, as timm does; says so.
pub fn name_classes(config: &mut Config) {
    if !config.labels.is_empty() || config.scores == Scores::None {
        return;
    }
    let (letter, set) = match config.num_classes {
        1000 => ('a', "ImageNet-1k"),
        11821 => ('b', "ImageNet-12k"),
        21841 => ('c', "ImageNet-22k"),
        21843 => ('d', "ImageNet-21k"),
        _ => return,
    };
    let named = NAMES.lines().filter_map(|line| line.split_once('\t'));
    let of_set = named.filter(|(sets, _)| sets.contains(letter));
    config.labels = of_set.map(|(_, name)| name.to_owned()).collect();
    tracing::info!("no names of classes; taken for {set}'s, as there are {}", config.num_classes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_as_many_names_as_classes() {
        for (classes, some, name) in [
            (1000, 207, "golden retriever"),
            (11821, 0, "benthos"),
            (21841, 0, "organism"),
            (21843, 0, "organism"),
        ] {
            let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
            config.num_classes = classes;
            name_classes(&mut config);
            assert_eq!(config.labels.len(), classes as usize);
            assert_eq!(config.labels[some], name);
        }
        let mut other = Config::preset("vit_tiny_patch16_224").unwrap();
        other.num_classes = 17;
        name_classes(&mut other);
        assert!(other.labels.is_empty());
    }
}
