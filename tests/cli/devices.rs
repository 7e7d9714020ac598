use crate::{gpu_required, tome};

#[test]
fn devices_are_listed_and_one_is_chosen() {
    let run = tome(&["devices"]).done();
    assert!(run.stdout.lines().last().unwrap().starts_with("auto: "), "{}", run.stdout);
    if gpu_required() {
        assert!(
            run.stdout.starts_with("0: ") && run.stdout.contains("maxStorageBufferBindingSize"),
            "{}",
            run.stdout
        );
    }
}
