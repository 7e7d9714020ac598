// The entry point of shaders that use no subgroups. Twin of entry_subgroup.wgsl.
@compute @workgroup_size(TILE_LANES)
fn embed_patches(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    compute_tile(workgroup_index(workgroup, workgroups), Lane(index, 0u, 0u, 0u));
}
