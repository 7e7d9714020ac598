//! What is kept of a device's tiles.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tome_wgpu::tune::Tuning;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tuning) = serde_json::from_slice::<Tuning>(bytes) {
        let again = serde_json::to_vec(&tuning).expect("JSON");
        assert_eq!(serde_json::from_slice::<Tuning>(&again).expect("the same"), tuning);
    }
});
