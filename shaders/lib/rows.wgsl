// ROWS rows share a workgroup, a few lanes for each: short rows leave no lane idle, and there is little to wait for.
const ROW_LANES: u32 = 16u;

var<workgroup> row_values: array<f32, ROWS * ROW_LANES>;

// The sum of the values of a row's lanes, in every one of them.
fn row_sum(lane: u32, value: f32) -> f32 {
    workgroupBarrier(); // the previous call's readers are done
    row_values[lane] = value;
    workgroupBarrier();
    let first = lane / ROW_LANES * ROW_LANES;
    var sum = 0.0;
    for (var i = 0u; i < ROW_LANES; i++) {
        sum += row_values[first + i];
    }
    return sum;
}

// The largest of them, where none is below 0.
fn row_max(lane: u32, value: f32) -> f32 {
    workgroupBarrier(); // the previous call's readers are done
    row_values[lane] = value;
    workgroupBarrier();
    let first = lane / ROW_LANES * ROW_LANES;
    var largest = 0.0;
    for (var i = 0u; i < ROW_LANES; i++) {
        largest = max(largest, row_values[first + i]);
    }
    return largest;
}
