//! Parquet: what is written is read back.

use crate::infer::{album, text};
use crate::tome;

#[test]
#[cfg(not(feature = "parquet"))]
fn a_command_without_parquet_says_so() {
    let (folder, album, _) = album();
    let output = folder.path().join("out.parquet");
    tome(&["infer", "--input", text(&album), "--output", text(&output)]).failed("--features parquet");
    assert!(!output.exists());
}

#[cfg(feature = "parquet")]
mod written {
    use std::collections::HashMap;
    use std::fs::File;
    use std::path::Path;

    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, UInt32Type};
    use arrow_array::{Array, RecordBatch};
    use arrow_schema::DataType;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::infer::{floats, listing};

    /// A file's rows, which must fit into one batch, and its metadata.
    fn read(path: &Path) -> (RecordBatch, HashMap<String, String>) {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let pairs = builder.metadata().file_metadata().key_value_metadata().unwrap();
        let about = pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone().unwrap())).collect();
        let schema = builder.schema().clone();
        let mut batches = builder.with_batch_size(1 << 16).build().unwrap();
        let batch = batches.next().map_or_else(|| RecordBatch::new_empty(schema), Result::unwrap);
        assert!(batches.next().is_none());
        (batch, about)
    }

    #[test]
    fn a_table_holds_what_tensors_do() {
        let (folder, album, tensors) = album();
        std::fs::write(album.join("aa.png"), "broken").unwrap();
        let table = folder.path().join("out.parquet");
        let run = |output: &Path| {
            let args = ["infer", "--input", text(&album), "--output", text(output), "--device", "cpu"];
            tome(&[&args[..], &["--want", "features,logits,source", "--r", "8", "--batch", "2"]].concat())
        };
        run(&tensors).failed("with NaN for them");
        run(&table).failed("with NaN for them");
        assert_eq!(listing(folder.path()), ["album", "out.jsonl", "out.parquet", "out.safetensors"]);

        let (rows, about) = read(&table);
        let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["path", "error", "logits", "features", "source"]);
        let paths: Vec<_> = rows["path"].as_string::<i32>().iter().map(Option::unwrap).collect();
        let want = ["a.png", "aa.png", "b.PNG"].map(|name| album.join(name));
        assert_eq!(paths, want.each_ref().map(|path| text(path)));
        let errors: Vec<_> = rows["error"].as_string::<i32>().iter().collect();
        assert!(errors[0].is_none() && errors[2].is_none() && errors[1].unwrap().contains("aa.png"));

        let file = std::fs::read(&tensors).unwrap();
        for name in ["logits", "features"] {
            let (shape, want) = floats(&file, name);
            let lists = rows[name].as_fixed_size_list();
            assert_eq!(lists.value_length() as usize, shape[1], "{name}");
            // Arrow's C++ reader takes no null among lists of a fixed size.
            assert_eq!(lists.null_count(), 0, "{name}");
            let unreadable = lists.value(1);
            assert!(
                unreadable.as_primitive::<Float32Type>().values().iter().all(|value| value.is_nan()),
                "{name}"
            );
            for row in [0, 2] {
                let got = lists.value(row).as_primitive::<Float32Type>().values().to_vec();
                assert_eq!(got, want[row * shape[1]..][..shape[1]], "{name} of {row}");
            }
        }
        let (shape, want) = crate::indices(&file, "source");
        let sources = rows["source"].as_fixed_size_list().value(2);
        assert_eq!(sources.as_primitive::<UInt32Type>().values().to_vec(), want[2 * shape[1]..]);

        assert_eq!(about["r"], "8");
        assert_eq!(about["unreadable"], "1");
        assert!(!about["model"].is_empty() && about["preprocess"].contains("interpolation"), "{about:?}");
    }

    #[test]
    fn features_alone_are_the_default_and_a_shard_that_is_finished_is_kept() {
        let (folder, album, _) = album();
        let output = folder.path().join("out.parquet");
        let run = |more: &[&str]| {
            let args = ["infer", "--input", text(&album), "--output", text(&output), "--device", "cpu"];
            tome(&[&args[..], &["--recursive"], more].concat())
        };
        let mut paths = Vec::new();
        for shard in ["1", "2"] {
            let shard_of_two = format!("{shard}/2");
            run(&["--shard", &shard_of_two]).done();
            assert!(run(&["--shard", &shard_of_two]).done().stderr.contains("finished already"));
            run(&["--shard", &shard_of_two, "--r", "3"]).failed("is of another run");
            let (rows, about) = read(&folder.path().join(format!("out-0000{shard}-of-00002.parquet")));
            assert_eq!(about["shard"], shard_of_two);
            assert_eq!(rows.schema().fields().len(), 3);
            assert!(matches!(rows["features"].data_type(), DataType::FixedSizeList(_, 64)));
            paths.extend(rows["path"].as_string::<i32>().iter().map(|path| path.unwrap().to_owned()));
        }
        paths.sort();
        assert_eq!(paths, ["a.png", "b.PNG", "deeper/c.png"].map(|name| text(&album.join(name)).to_owned()));
    }

    #[test]
    fn a_threshold_s_tokens_are_a_column() {
        let (folder, album, _) = album();
        let output = folder.path().join("out.parquet");
        let args = ["infer", "--input", text(&album), "--output", text(&output), "--device", "cpu"];
        tome(&[&args[..], &["--threshold", "0.5", "--r", "20"]].concat()).done();
        let (rows, about) = read(&output);
        let left = rows["tokens_left"].as_primitive::<UInt32Type>();
        assert!(left.values().iter().all(|&left| left > 0 && left < 197), "{left:?}");
        assert_eq!(about["threshold"], "0.5");
    }
}
