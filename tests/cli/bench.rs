use serde_json::Value;

use crate::{golden, tome};

#[test]
fn rows_say_all_there_is() {
    let model = golden("cls");
    let model = model.to_str().unwrap();
    let args = [
        "bench", "--model", model, "--batch", "1,2", "--r", "4,2:-1", "--device", "cpu", "--json", "--quiet",
    ];
    let json: Value = serde_json::from_str(&tome(&args).done().stdout).unwrap();
    let rows = json["rows"].as_array().unwrap();
    let seen: Vec<_> =
        rows.iter().map(|row| (row["batch"].as_u64().unwrap(), row["r"].to_string())).collect();
    let r = ["0", "4", "\"2:-1\""].map(str::to_owned);
    let expected: Vec<_> =
        [1, 2].iter().flat_map(|&batch| r.iter().map(move |r| (batch, r.clone()))).collect();
    assert_eq!(seen, expected, "r = 0 is added");
    for row in rows {
        for key in ["images_per_s", "speedup", "promised_speedup", "peak_bytes"] {
            assert!(row[key].as_f64().unwrap() > 0.0, "{key} in {row}");
        }
        assert_eq!((&row["device"], &row["precision"]), (&"CPU".into(), &"f32".into()));
        assert!(row["arch"].is_string() && row.get("merge_share").is_some());
    }
    assert_eq!((rows[0]["speedup"].as_f64(), rows[0]["promised_speedup"].as_f64()), (Some(1.0), Some(1.0)));
    assert!(rows[1]["promised_speedup"].as_f64() > Some(1.0));
}

#[test]
fn a_table_is_printed_for_people() {
    let model = golden("cls");
    let args = ["bench", "--model", model.to_str().unwrap(), "--batch", "1", "--r", "0,4", "--device", "cpu"];
    let run = tome(&args).done();
    assert!(run.stdout.contains("images/s") && run.stdout.contains("| 4 "), "{}", run.stdout);
}

#[test]
fn a_missing_network_is_an_error() {
    tome(&["bench", "--model", "no_such_network", "--device", "cpu"]).failed("no_such_network");
}
