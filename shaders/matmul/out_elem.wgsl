// Type of the output: the storage type. Twin of out_f32.wgsl.
alias Out = Elem;
alias Out4 = Elem4;
