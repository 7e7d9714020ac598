// One of a workgroup's lanes. Entry points hand it on: naga finds subgroup built-ins for DirectX only among their direct
// arguments.
struct Lane {
    index: u32,     // in the workgroup
    place: u32,     // in its subgroup; 0 in shaders that use none, as are the next two
    subgroup: u32,  // which subgroup
    subgroups: u32, // how many there are
}
