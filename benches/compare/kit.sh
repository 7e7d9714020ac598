#!/usr/bin/env bash
# Packs all that a GPU machine needs to test and measure this crate without Rust, network or root:
#
#     benches/compare/kit.sh FOLDER         (empty or not there; under 60 MB)
#
# Copy FOLDER to a Linux machine of the same kind, or a newer one, and start its `run` there. It unpacks into `here/`, runs
# everything, most valuable first, and writes each part's output into `results/` as it comes. With PyTorch and timm there
# is also the table against PyTorch. KIT_SLOW=4 gives each part four times the time (software drivers).
set -Eeuo pipefail
kit=${1:?the folder to make}
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$kit"
[ -z "$(ls -A "$kit")" ] || { echo "kit.sh: $kit is not empty" >&2; exit 1; }
kit=$(cd "$kit" && pwd)
cd "$root"

pack=$(mktemp -d)
trap 'rm -rf "$pack"' EXIT
mkdir -p "$pack/bin/tests" "$pack/bin/benches" "$pack/lib" "$pack/target/tmp"

# What cargo has built: one line of JSON each, of which those with an `executable` matter.
executables() {
    python3 -c '
import json, sys
for line in sys.stdin:
    built = json.loads(line)
    if built.get("executable"):
        print(built["target"]["name"], built["executable"])'
}
pack_into() { # FOLDER, from executables
    local name path
    while read -r name path; do strip -o "$pack/bin/$1/$name" "$path"; done
}
cargo build --release --bin tome --message-format json | executables | pack_into .
cargo test --release --test '*' --no-run --message-format json | executables | grep -v '^tome ' | pack_into tests
cargo bench --bench '*' --no-run --message-format json | executables | grep -v '^tome ' | pack_into benches

# What the tests and gpu.py read, the sources among it: some tests hold them against rules.
git ls-files -z -- Cargo.toml README.md benches docs examples models shaders src tests | tar --null -T - -c | tar -x -C "$pack"
# A machine made for CUDA may lack Vulkan's loader.
loader=$(ldconfig -p | sed -n 's/.*libvulkan\.so\.1 .*=> //p')
loader=${loader%%$'\n'*}
if [ -n "$loader" ]; then cp -L "$loader" "$pack/lib/libvulkan.so.1"; fi

tar -C "$pack" -c . | xz -T0 -6 --lzma2=dict=128MiB >"$kit/kit.tar.xz"
cp benches/compare/kit-run.sh "$kit/run"
chmod +x "$kit/run"
git log -1 --format='%H %cs' >"$kit/commit"
du -sh "$kit"
