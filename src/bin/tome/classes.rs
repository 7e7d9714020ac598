//! Which of a network's classes labels are.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};
use tome_wgpu::vit::Config;

use crate::imagenet;

/// The class that each label is, and how that is known.
#[derive(Debug)]
pub struct Classes {
    pub of: HashMap<String, usize>,
    pub how: String,
}

/// Finds labels among a network's classes: by name, by number, or as ImageNet's synsets; where none is and there are as many
/// as the network has, by their order, which is a guess that is said.
pub fn find(labels: &[String], config: &Config) -> Result<Classes> {
    let count = config.num_classes as usize;
    let done = |of: Vec<usize>, how: &str| {
        let of = labels.iter().cloned().zip(of).collect();
        Ok(Classes { of, how: how.into() })
    };
    let names = Names::new(&config.labels);
    let named = labels.iter().map(|label| names.class(label)).collect::<Result<Vec<_>>>()?;
    if let Some(all) = named.iter().copied().collect() {
        return done(all, "by the names of the network's classes");
    }
    if labels.iter().all(|label| imagenet::is_synset(label)) && named.iter().all(Option::is_none) {
        return synsets(labels, config).and_then(|(of, how)| done(of, how));
    }
    if let Some(numbers) = labels.iter().map(|label| label.parse().ok()).collect::<Option<Vec<usize>>>() {
        return match numbers.iter().find(|&&number| number >= count) {
            Some(number) => bail!("label {number}: the network has {count} classes, counted from 0"),
            None => done(numbers, "by number"),
        };
    }
    let unknown: Vec<&String> =
        labels.iter().zip(&named).filter(|(_, class)| class.is_none()).map(|(label, _)| label).collect();
    if unknown.len() == labels.len() && labels.len() == count {
        tracing::warn!(
            "no label is the name of one of the network's classes; as there are {count} of both, they are taken to be in \
             order: {}",
            pairs(labels, config)
        );
        return done((0..count).collect(), "guessed: by the order of the labels");
    }
    bail!(
        "{} of {} labels are no classes of the network: {}; its {count} classes are {}. Give their numbers, or --want \
         features, which looks at no classes",
        unknown.len(),
        labels.len(),
        some(unknown.iter().map(|label| label.as_str())),
        match config.labels.is_empty() {
            true => "without names".to_owned(),
            false => some(config.labels.iter().map(String::as_str)),
        }
    )
}

/// Labels that are synsets.
fn synsets(labels: &[String], config: &Config) -> Result<(Vec<usize>, &'static str)> {
    let count = config.num_classes as usize;
    let first = config.labels.first().map_or("tench", String::as_str);
    if count == 1000 && plain(first).starts_with("tench") {
        let classes = labels.iter().map(|label| {
            imagenet::class_of(label)
                .ok_or_else(|| anyhow::anyhow!("label {label}: is no class of ImageNet-1k"))
        });
        return Ok((classes.collect::<Result<_>>()?, "as ImageNet-1k's synsets"));
    }
    if labels.len() == count {
        // All sets of ImageNet's have their classes in the order of their synsets.
        tracing::warn!(
            "the labels are {count} synsets, as many as the network has classes, and are taken to be in order"
        );
        return Ok(((0..count).collect(), "guessed: by the order of the synsets"));
    }
    bail!(
        "the labels are {} synsets, and the network has {count} classes, the first of which is `{first}`: of synsets only \
         ImageNet-1k's 1000 are known by themselves",
        labels.len()
    )
}

/// Names in the form in which they are compared, and the classes that have them.
struct Names(BTreeMap<String, Vec<usize>>);

impl Names {
    /// A name may be a list of synonyms, "tench, Tinca tinca".
    fn new(classes: &[String]) -> Self {
        let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (class, name) in classes.iter().enumerate() {
            for name in [name.as_str()].into_iter().chain(name.split(',')) {
                let classes = names.entry(plain(name)).or_default();
                if classes.last() != Some(&class) {
                    classes.push(class);
                }
            }
        }
        Names(names)
    }

    fn class(&self, label: &str) -> Result<Option<usize>> {
        match self.0.get(&plain(label)).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some(&[class]) => Ok(Some(class)),
            Some([first, second, ..]) => {
                bail!(
                    "label `{label}`: the network's classes {first} and {second} are both called that; give numbers"
                )
            }
        }
    }
}

/// Without what people write differently: case, and what stands between words.
fn plain(name: &str) -> String {
    let words =
        name.split(|c: char| c.is_whitespace() || c == '_' || c == '-').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The first few of many.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const FEW: usize = 5;
    let more = if names.len() > FEW { ", ..." } else { "" };
    let names: Vec<String> = names.take(FEW).map(|name| format!("`{name}`")).collect();
    names.join(", ") + more
}

/// Which label is taken for which class.
fn pairs(labels: &[String], config: &Config) -> String {
    let class = |at: usize| config.labels.get(at).cloned().unwrap_or_else(|| format!("class {at}"));
    let pairs: Vec<String> =
        labels.iter().enumerate().map(|(at, label)| format!("{label} = {}", class(at))).collect();
    some(pairs.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(classes: u32, labels: &[&str]) -> Config {
        let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
        config.num_classes = classes;
        config.labels = labels.iter().map(|&label| label.to_owned()).collect();
        config
    }

    fn found(labels: &[&str], config: &Config) -> Result<(Vec<usize>, String)> {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let classes = find(&labels, config)?;
        Ok((labels.iter().map(|label| classes.of[label]).collect(), classes.how))
    }

    #[test]
    fn labels_are_found_by_name_number_and_synset() {
        let fish = network(3, &["tench, Tinca tinca", "Gold-fish", "7"]);
        for (labels, wanted) in [
            (&["gold_fish", "tench"][..], &[1, 0][..]),
            (&["Tinca tinca"], &[0]),
            (&["tench, tinca tinca"], &[0]),
            (&["2", "0"], &[2, 0]),
            (&["7"], &[2]),
        ] {
            assert_eq!(found(labels, &fish).unwrap().0, wanted, "{labels:?}");
        }
        let imagenet = network(1000, &[]);
        assert_eq!(found(&["n02119789", "n01440764"], &imagenet).unwrap().0, [278, 0]);
        let (order, how) = found(&["a", "b", "c"], &fish).unwrap();
        assert!(order == [0, 1, 2] && how.starts_with("guessed"), "{how}");
    }

    #[test]
    fn a_mismatch_is_no_accuracy_of_zero() {
        let fish = network(3, &["tench", "goldfish", "crane"]);
        for (labels, config, why) in [
            (
                &["tench", "cat"][..],
                &fish,
                "1 of 2 labels are no classes of the network: `cat`; its 3 classes are `tench`",
            ),
            (&["tench", "cat", "dog"], &fish, "2 of 3 labels"),
            (&["a", "b"], &network(3, &[]), "without names"),
            (&["3"], &fish, "label 3: the network has 3 classes, counted from 0"),
            (&["crane"], &network(2, &["crane", "crane"]), "both called that"),
            (&["n01440764"], &fish, "only ImageNet-1k's"),
            (&["n00000001"], &network(1000, &[]), "no class of ImageNet-1k"),
        ] {
            let error = found(labels, config).unwrap_err().to_string();
            assert!(error.contains(why), "`{why}` in {error}");
        }
    }
}
