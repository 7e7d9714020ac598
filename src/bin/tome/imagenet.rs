//! Names of ImageNet's classes, for networks whose files name none.

use tome_wgpu::vit::{Config, Scores};

/// Every class in order, with the sets that it is part of.
const NAMES: &str = include_str!("../../../models/imagenet/names.txt");

/// The synsets of ImageNet-1k in the order of its classes.
const SYNSETS: &str = include_str!("../../../models/imagenet/synsets.txt");

/// Whether a name is a synset of WordNet's as ImageNet writes them, n01440764.
pub fn is_synset(name: &str) -> bool {
    name.strip_prefix('n')
        .is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The class of ImageNet-1k that a synset is.
pub fn class_of(synset: &str) -> Option<usize> {
    SYNSETS.lines().position(|line| line == synset)
}

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
    fn synsets_are_those_of_the_names() {
        assert_eq!(SYNSETS.lines().count(), 1000);
        assert!(SYNSETS.lines().all(is_synset) && SYNSETS.lines().is_sorted());
        // Kit fox, bolete and the last, toilet tissue.
        for (synset, class) in [("n01440764", 0), ("n02119789", 278), ("n13054560", 997), ("n15075141", 999)]
        {
            assert_eq!(class_of(synset), Some(class));
        }
        assert_eq!(class_of("n00000001"), None);
    }

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
