// The entry point of shaders that use no subgroups. Twin of entry_subgroup.wgsl.
@compute @workgroup_size(TILE_LANES)
fn matmul(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    compute_tile(workgroup_index(group, groups), Lane(index, 0u, 0u, 0u));
}
