// Workgroups are counted in x, then y, because one dimension ends at 65,535. The last row of the grid may
// hold workgroups past the end: a kernel returns at once for an index it has no work for.
struct Grid {
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
}

fn workgroup_index(grid: Grid) -> u32 {
    return grid.id.y * grid.count.x + grid.id.x;
}
