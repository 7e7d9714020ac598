// Type of the output: 32-bit floats, as it becomes the residual stream. Twin of out_elem.wgsl.
alias Out = f32;
alias Out4 = vec4<f32>;
