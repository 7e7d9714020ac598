// The entry point of shaders that use subgroups. Twin of entry.wgsl.
@compute @workgroup_size(TILE_LANES)
fn matmul(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    compute_tile(workgroup_index(workgroup, workgroups), Lane(index, place, subgroup, subgroups));
}
