use crate::tome;

#[test]
fn help_and_version_are_results() {
    assert!(tome(&["--version"]).done().stdout.contains(env!("CARGO_PKG_VERSION")));
    for command in ["demo", "classify", "infer", "visualize", "bench", "tune", "devices"] {
        assert!(tome(&["--help"]).done().stdout.contains(command));
        let help = tome(&[command, "--help"]).done().stdout;
        assert!(help.contains("Usage:") && !help.starts_with("Usage:"), "no description: {help}");
    }
    for command in ["classify", "infer", "visualize", "bench", "tune"] {
        assert!(tome(&[command, "--help"]).done().stdout.contains("Examples:"));
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    tome(&["dance"]).misused("dance");
    tome(&["classify"]).misused("IMAGE");
    tome(&["classify", "x.png", "--config", "config.json"]).misused("--model");
    tome(&["infer", "--input", "x.png"]).misused("--output");
    tome(&["infer", "--input", "x.png", "--output", "o", "--batch", "0"]).misused("0 is not in 1..");
    tome(&["infer", "--input", "x.png", "--output", "o", "--want", "logits,soul"]).misused("soul");
    tome(&["infer", "--input", "x.png", "--output", "o", "--pool", "max"]).misused("max");
    tome(&["classify", "x.png", "--merge-mode", "median"]).misused("keep-one");
    for partition in [
        "every:1",
        "every:",
        "every",
        "random",
        "random:-1",
        "random:x",
        "grid",
        "alternating:2",
        "",
        "energy:",
        "energy:x",
        "energy:nan",
        "energy:inf",
        "energy:1:2",
    ] {
        tome(&["classify", "x.png", "--partition", partition]).misused("energy:MARGIN");
    }
    tome(&["visualize", "x.png", "--out", "y.png", "--metric", "depth"]).misused("attention");
    tome(&["infer", "--input", "x.png", "--output", "o", "--similarity", "l2"]).misused("euclidean");
    tome(&["classify", "x.png", "--top", "0"]).misused("0 is not in 1..");
    tome(&["classify", "x.png", "--device", ""]).misused("NAME (Backend)");
    tome(&["bench", "--batch", "0"]).misused("0 is not in 1..");
    tome(&["tune", "--rounds", "0"]).misused("0 is not in 1..");
    tome(&["tune", "--forget", "--batch", "1"]).misused("cannot be used with");
    tome(&["bench", "--arch", "resnet50"]).misused("architectures are known");
    tome(&["bench", "--arch", "vit_tiny_patch16_224", "--model", "m"]).failed("is no folder or file");
}

#[test]
fn quiet_goes_anywhere_and_flags_of_the_demo_after_it() {
    let classify = ["classify", &crate::digit(3), "--device", "cpu"];
    assert_eq!(tome(&[&["--quiet"], &classify[..]].concat()).done().stderr, "");
    assert_eq!(tome(&[&classify[..], &["-q"]].concat()).done().stderr, "");
    for subcommand in ["demo", "devices"] {
        tome(&["--device", "cpu", subcommand])
            .misused("'--device <auto|cpu|NAME|INDEX>' cannot be used before");
        tome(&["-q", "--out=p.png", subcommand]).misused("'--out <P.png>' cannot be used before");
    }
}

#[test]
fn a_wrong_r_is_wrong_usage() {
    for r in ["-3", "many", "16:x", "16:inf", "3,-1", "", "99999999999"] {
        tome(&["classify", "x.png", "--r", r]).misused("r = `");
    }
    tome(&["bench", "--r", "0,-8"]).misused("r = `-8`");
}
