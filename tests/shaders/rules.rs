//! Rules that compilers behind naga, or in place of it, have taught.

use std::fs;

use naga::{Binding, BuiltIn};

use crate::every_shader;
use crate::house::{files, root};

/// naga finds subgroup built-ins for DirectX, and replaces the count of workgroups there by the true one, only where
/// they are direct arguments of the entry point: within a struct the former do not compile, and the latter is silently
/// another number.
#[test]
fn built_ins_are_direct_arguments_of_the_entry_point() {
    every_shader(|spec, (variant, _), name, module, _| {
        let built_ins: Vec<BuiltIn> = module.entry_points[0]
            .function
            .arguments
            .iter()
            .map(|argument| match argument.binding {
                Some(Binding::BuiltIn(built_in)) => built_in,
                _ => panic!("{name}: {:?} is no built-in", argument.name),
            })
            .collect();
        let subgroups = [BuiltIn::SubgroupInvocationId, BuiltIn::SubgroupId, BuiltIn::NumSubgroups];
        let any = built_ins.iter().any(|built_in| subgroups.contains(built_in));
        assert_eq!(any, spec.by_subgroup(variant), "{name}: subgroup built-ins");
        assert!(built_ins.contains(&BuiltIn::NumWorkGroups), "{name}: counts workgroups in x alone");
    });
}

/// Tint's SPIR-V does not zero a variable again in each turn of a loop, as WGSL says it should be, so that what a turn
/// left there is in the next one's sums.
#[test]
fn variables_in_loops_have_an_initialiser() {
    for path in files("shaders", "wgsl") {
        let text = fs::read_to_string(&path).unwrap();
        // For each open brace whether it lies in a loop.
        let mut open: Vec<bool> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap().trim();
            let in_loop = open.last().copied().unwrap_or(false);
            let bare = code.starts_with("var ") && !code.contains('=');
            let place = path.strip_prefix(root()).unwrap().display();
            assert!(!(in_loop && bare), "{place}:{}: {code}", i + 1);
            let begins = ["for ", "while ", "loop "].iter().any(|word| code.starts_with(word));
            for brace in code.chars() {
                match brace {
                    '{' => open.push(in_loop || begins),
                    '}' => _ = open.pop(),
                    _ => {}
                }
            }
        }
    }
}

/// WGSL wants parentheses where a shift stands beside `&`, `|` or `^`, or `&&` beside `||`, and so does Tint; naga does
/// without.
#[test]
fn what_goes_by_precedence_stands_in_parentheses() {
    for path in files("shaders", "wgsl") {
        let text = fs::read_to_string(&path).unwrap();
        for (i, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let place = path.strip_prefix(root()).unwrap().display();
            assert!(!mixes(code), "{place}:{}: {code}", i + 1);
        }
    }
    for (code, mixed) in [
        ("return a | b << 8u;", true),
        ("return a | (b << 8u) | (c << 16u);", false),
        ("x = (a >> 3u & 1u) + f(b, c);", true),
        ("let y: array<vec4<f32>> = f(a << 1u, b & 2u);", false),
        ("if a << 1u < b && c & 1u == d {", false),
        ("if a > b || a == b && c < d {", true),
        ("if a > b || (a == b && c < d) || e {", false),
        ("x = f(a && b, c || d);", false),
    ] {
        assert_eq!(mixes(code), mixed, "{code}");
    }
}

/// Whether operands of a shift and of a bitwise operator, or of `&&` and `||`, stand side by side within some pair of
/// parentheses.
fn mixes(code: &str) -> bool {
    // What has been seen between the last separator and here: a shift, a bitwise operator; `&&`, `||`.
    let mut open = vec![[[false; 2]; 2]];
    let mut rest = code;
    while let Some(next) = rest.chars().next() {
        let two = rest.get(..2).unwrap_or("");
        let mut width = next.len_utf8();
        match (two, next) {
            ("<<" | ">>", _) => (open.last_mut().unwrap()[0][0], width) = (true, 2),
            ("||" | "&&", _) => {
                let [bits, truths] = open.last_mut().unwrap();
                *bits = [false; 2];
                truths[usize::from(two == "||")] = true;
                width = 2;
            }
            (_, '|' | '&' | '^') => open.last_mut().unwrap()[0][1] = true,
            (_, '(' | '[') => open.push([[false; 2]; 2]),
            (_, ')' | ']') if open.len() > 1 => _ = open.pop(),
            // `==`, `<=` and the like end no operand of `&&`.
            ("==" | "<=" | ">=" | "!=", _) => (open.last_mut().unwrap()[0], width) = ([false; 2], 2),
            (_, ',' | ';' | '=' | '{') => *open.last_mut().unwrap() = [[false; 2]; 2],
            _ => {}
        }
        if open.last().unwrap().contains(&[true; 2]) {
            return true;
        }
        rest = &rest[width..];
    }
    false
}
