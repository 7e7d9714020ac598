//! A defect that ends the module: JavaScript is told, as nothing that was on its way is answered after it.

use std::cell::RefCell;
use std::panic;

use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    static TOLD: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Has a function called with the message of a panic.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(tell: Function) {
    TOLD.set(Some(tell));
    panic::set_hook(Box::new(|info| {
        TOLD.with_borrow(|tell| {
            if let Some(tell) = tell {
                // Whatever it throws, the module ends.
                _ = tell.call1(&JsValue::NULL, &info.to_string().into());
            }
        });
    }));
}
