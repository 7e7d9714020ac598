use crate::tome_in;

#[test]
fn tome_alone_shows_accuracy_speed_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let run = tome_in(folder.path(), &["--device", "cpu"]).done();
    let table: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with('|')).collect();
    assert!(table[0].contains("accuracy") && table[0].contains("promised"), "{}", run.stdout);
    let accuracies: Vec<f64> = table[2..]
        .iter()
        .map(|row| row.split('|').nth(3).unwrap().trim().trim_end_matches(" %").parse().unwrap())
        .collect();
    assert!(accuracies.len() > 3 && accuracies[0] >= 97.0, "{}", run.stdout);
    assert!(run.stdout.contains("450 handwritten digits") && run.stdout.contains("tome-merge.png"));
    assert!(image::open(folder.path().join("tome-merge.png")).unwrap().width() > 1000);
}

#[test]
fn a_picture_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    tome_in(folder.path(), &["demo", "--device", "cpu", "--out", "no/folder/p.png"])
        .failed("no/folder/p.png");
}
