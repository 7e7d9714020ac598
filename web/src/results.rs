//! A batch's results as JavaScript takes them.

use js_sys::{Float32Array, Object, Reflect, Uint32Array};
use tome_wgpu::vit::{Outputs, Values, Want};
use wasm_bindgen::JsValue;

/// An object of arrays, of all images one behind the other, with the tokens an image that are left as `merged`.
pub fn object(outputs: &Outputs, want: Want) -> JsValue {
    let object = Object::new();
    // An object of our own takes what is set.
    let set = |name: &str, value: JsValue| _ = Reflect::set(&object, &name.into(), &value);
    set("merged", (outputs.merged as u32).into());
    for output in want.outputs() {
        let values = match outputs.get(output) {
            Values::F32(values) => Float32Array::from(values).into(),
            Values::U32(values) => Uint32Array::from(values).into(),
        };
        set(output.name(), values);
    }
    object.into()
}
