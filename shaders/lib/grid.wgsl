// Workgroups are counted in x, then y, because one dimension ends at 65,535. The last row of the grid may hold workgroups
// past the end: a kernel returns at once for an index it has no work for. Entry points read `num_workgroups` themselves
// and hand on values, never a struct of built-ins: naga puts the true count in DirectX only where it is read.
fn workgroup_index(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}
