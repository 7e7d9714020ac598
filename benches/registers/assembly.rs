//! The hot loop of a shader in a driver's text of the device's own code: Mesa's for AMD (ACO) and NVIDIA (NAK).

/// Instructions of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// All.
    pub all: u32,
    /// Products of matrices, on the matrix units.
    pub matrices: u32,
    /// Multiply-adds of a lane.
    pub multiply_adds: u32,
}

impl Mix {
    fn of(lines: &[&str]) -> Mix {
        let count = |is: fn(&str) -> bool| lines.iter().filter(|line| is(operation(line))).count() as u32;
        Mix {
            all: count(|operation| !operation.is_empty()),
            matrices: count(is_matrix),
            multiply_adds: count(|operation| ["fma", "mac", "mad"].iter().any(|o| operation.contains(o))),
        }
    }

    /// A product of matrices is worth many multiply-adds.
    fn work(self) -> u32 {
        64 * self.matrices + self.multiply_adds
    }
}

/// The innermost loop that does most of the work, or the longest where none does such work; none where there is no loop.
pub fn hot_loop(text: &str) -> Option<Mix> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let label = |line: &str| label(line).map(str::to_owned);
    let labels: Vec<Option<String>> = lines.iter().map(|line| label(line)).collect();
    // A jump to a label above it closes a loop.
    let mut loops = Vec::new();
    for (end, line) in lines.iter().enumerate() {
        for target in targets(line) {
            let at = labels[..=end].iter().position(|label| label.as_deref() == Some(target));
            loops.extend(at.map(|start| (start, end)));
        }
    }
    let innermost = loops.iter().filter(|&&(start, end)| {
        !loops.iter().any(|&(s, e)| (s, e) != (start, end) && start <= s && e <= end)
    });
    innermost.map(|&(start, end)| Mix::of(&lines[start..=end])).max_by_key(|mix| (mix.work(), mix.all))
}

/// The block that begins here: `BB3:`, or `block 3 [2, 5] -> {`.
fn label(line: &str) -> Option<&str> {
    if line.starts_with("block") && line.ends_with('{') {
        return line.split_whitespace().nth(1);
    }
    let name = line.split_whitespace().next()?.strip_suffix(':')?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

/// The blocks that may follow: `s_cbranch_scc0 BB3`, or `} -> [3, 6]`.
fn targets(line: &str) -> Vec<&str> {
    if let Some(blocks) = line.strip_prefix("} -> [") {
        return blocks.trim_end_matches(']').split(',').map(str::trim).collect();
    }
    let code = line.split([';', '/']).next().unwrap_or(line);
    if !code.contains("branch") {
        return Vec::new();
    }
    code.split_whitespace().skip(1).collect()
}

/// The operation of a line of code, empty where there is none: the word after predicates and `r0 =`.
fn operation(line: &str) -> &str {
    let code = line.split("//").next().unwrap_or_default().split(';').next().unwrap_or_default();
    if label(line).is_some() || code.starts_with('}') {
        return "";
    }
    let code = code.rsplit_once(" = ").map_or(code, |(_, code)| code);
    code.split_whitespace().find(|word| !word.starts_with('@')).unwrap_or_default()
}

fn is_matrix(operation: &str) -> bool {
    ["v_wmma", "v_swmmac", "v_mfma", "hmma"].iter().any(|start| operation.starts_with(start))
}

/// What it finds in a few lines of each kind.
pub fn check() {
    let aco = "BB0:\n\ts_mov_b32 s0, 0 ; be800080\nBB1:\n\tv_mov_b32 v0, v1\nBB2:\n\tv_wmma_f32_16x16x16_f16 v[0:7], \
        v[8:15], v[16:23], v[0:7] ; cc404000\n\tv_fma_f32 v0, v1, v2, v0\n\ts_cbranch_scc1 BB2 ; bf850000\n\t\
        s_cbranch_scc0 BB1\n\ts_endpgm";
    assert_eq!(hot_loop(aco), Some(Mix { all: 3, matrices: 1, multiply_adds: 1 }));
    let nak = "block 0 [] -> {\n  r0 = mov 0x0\n} -> [1]\nblock 1 [0, 1] -> {\n  r4..8 = hmma.16816.f32 r0..4 r8..10 \
        r4..8 // delay=8\n  r1 = ffma r2 r3 r1\n  @!p0 bra L1\n} -> [1, 2]\nblock 2 [1] -> {\n  exit\n} -> []";
    assert_eq!(hot_loop(nak), Some(Mix { all: 3, matrices: 1, multiply_adds: 1 }));
    assert_eq!(hot_loop("BB0:\n\tv_fma_f32 v0, v1, v2, v0\n\ts_branch BB1\nBB1:\n\ts_endpgm"), None);
}
