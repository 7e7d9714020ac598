// Workgroups are counted in x, then y, because one dimension ends at 65,535. The last row of the grid may hold workgroups
// past the end: a kernel returns at once for an index it has no work for. Entry points read `num_workgroups` themselves
// and hand on values, never a struct of built-ins: naga puts the true count in DirectX only where it is read.
fn workgroup_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
