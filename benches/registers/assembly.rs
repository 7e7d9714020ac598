//! The hot loop of a shader in a driver's text of the device's own code: Mesa's for AMD (ACO) and NVIDIA (NAK).

use std::collections::{BTreeMap, BTreeSet};

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

/// Instructions without a jump between them.
struct Block<'a> {
    name: &'a str,
    lines: Vec<&'a str>,
    /// Where it goes on.
    next: Vec<&'a str>,
    /// Whether that may be the block below, which is not named.
    falls_through: bool,
}

/// The innermost loop that does most of the work, or the longest where none does such work; none where there is no loop.
pub fn hot_loop(text: &str) -> Option<Mix> {
    let blocks = blocks(text);
    if blocks.is_empty() {
        return None;
    }
    let loops = loops(&blocks);
    let innermost = loops
        .iter()
        .filter(|body| !loops.iter().any(|other| other.len() < body.len() && other.is_subset(body)));
    let mixes = innermost.map(|body| {
        let lines: Vec<&str> = body.iter().flat_map(|&block| &blocks[block].lines).copied().collect();
        Mix::of(&lines)
    });
    mixes.max_by_key(|mix| (mix.work(), mix.all))
}

/// The blocks of each loop.
fn loops(blocks: &[Block<'_>]) -> Vec<BTreeSet<usize>> {
    let place = |name: &str| blocks.iter().position(|block| block.name == name);
    let next: Vec<Vec<usize>> =
        blocks.iter().map(|block| block.next.iter().filter_map(|name| place(name)).collect()).collect();
    // A way that comes back to a block which it has passed closes a loop; drivers print its blocks in any order.
    let mut closing: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let (mut seen, mut way) = (vec![false; blocks.len()], vec![(0, 0)]);
    while let Some((block, taken)) = way.last_mut() {
        let from = *block;
        let Some(&to) = next[from].get(*taken) else {
            way.pop();
            continue;
        };
        *taken += 1;
        seen[from] = true;
        if way.iter().any(|&(passed, _)| passed == to) {
            closing.entry(to).or_default().push(from);
        } else if !seen[to] {
            way.push((to, 0));
        }
    }
    // The blocks from which one comes to its end without its first.
    let body = |(first, mut rest): (usize, Vec<usize>)| {
        let mut body = BTreeSet::from([first]);
        while let Some(block) = rest.pop() {
            if body.insert(block) {
                rest.extend((0..blocks.len()).filter(|&before| next[before].contains(&block)));
            }
        }
        body
    };
    closing.into_iter().map(body).collect()
}

/// Of a text in one of two forms: labels `BB3:` and jumps `s_cbranch_scc0 BB3`, or `block 3 L4 [2, 5] -> {` to
/// `} -> [3, 6]`.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for line in text.lines().map(str::trim) {
        let mut words = line.split([' ', '\t', ';']).filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let name = if line.ends_with('{') { words.clone().next() } else { first.strip_suffix(':') };
        if let Some(name) = name {
            if let Some(last) = blocks.last_mut().filter(|block| block.falls_through) {
                last.next.push(name);
            }
            blocks.push(Block { name, lines: Vec::new(), next: Vec::new(), falls_through: true });
        } else if let Some(block) = blocks.last_mut() {
            if let Some(next) = line.strip_prefix("} -> [") {
                block.next.extend(next.trim_end_matches(']').split(", "));
                block.falls_through = false;
            } else {
                block.lines.push(line);
                block.next.extend(words.next().filter(|_| first.contains("branch")));
                block.falls_through &= !["s_branch", "s_endpgm"].contains(&first);
            }
        }
    }
    blocks
}

/// The operation of a line of code, empty where there is none: the word after predicates and `r0 =`.
fn operation(line: &str) -> &str {
    let code = line.split("//").next().unwrap_or_default().split(';').next().unwrap_or_default();
    let code = code.rsplit_once(" = ").map_or(code, |(_, code)| code);
    code.split_whitespace().find(|word| !word.starts_with('@')).unwrap_or_default()
}

fn is_matrix(operation: &str) -> bool {
    ["v_wmma", "v_swmmac", "v_mfma", "hmma"].iter().any(|start| operation.starts_with(start))
}

/// What it finds in a few lines of each kind.
pub fn check() {
    let aco = "BB0:\n\ts_mov_b32 s0, 0 ; be800080\nBB1:\n\tv_mov_b32 v0, v1\nBB2:\n\tv_wmma_f32_16x16x16_f16 v[0:7], \
        v[8:15], v[16:23], v[0:7] ; cc404000\n\tv_fma_f32 v0, v1, v2, v0\n\ts_cbranch_scc1 BB2 ; bf850000\nBB3:\n\t\
        s_cbranch_scc0 BB1\nBB4:\n\ts_endpgm";
    assert_eq!(hot_loop(aco), Some(Mix { all: 3, matrices: 1, multiply_adds: 1 }));
    // The end stands between the loop's blocks.
    let nak = "block.u 0 L2 [] -> {\n  r0 = mov 0x0\n} -> [1]\nblock.u 1 L5 [0, 3] -> {\n  bra !up0 L7 // delay=1\n} -> \
        [2, 3]\nblock.u 2 L6 [1] -> {\n  r5 = mov r4\n  exit\n} -> []\nblock 3 L7 [1] -> {\n  r4..8 = hmma.m16n8k16.f32 \
        r0..4 r8..10 r4..8 // delay=8\n  @!p0 r1 = ffma r2 r3 r1\n  bra L5\n} -> [1]";
    assert_eq!(hot_loop(nak), Some(Mix { all: 4, matrices: 1, multiply_adds: 1 }));
    // The loop is entered at its end.
    let turned = "BB0:\n\ts_branch BB2\nBB1:\n\tv_fma_f32 v0, v1, v2, v0\nBB2:\n\ts_cbranch_scc0 BB1\nBB3:\n\ts_endpgm";
    assert_eq!(hot_loop(turned), Some(Mix { all: 2, matrices: 0, multiply_adds: 1 }));
    assert_eq!(hot_loop("BB0:\n\tv_fma_f32 v0, v1, v2, v0\n\ts_branch BB1\nBB1:\n\ts_endpgm"), None);
}
