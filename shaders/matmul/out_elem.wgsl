// Type of the output: the storage type.
alias Out = Elem;
