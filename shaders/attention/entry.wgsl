// The entry point of shaders that use no subgroups. Twin of entry_subgroup.wgsl.
@compute @workgroup_size(ATTEND_LANES)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    answer_queries(workgroup_index(group, groups), Lane(index, 0u, 0u, 0u));
}
