#!/usr/bin/env bash
# Tests and measures this crate on a GPU machine: see benches/compare/kit.sh, which packed it.
#
#     ./run [PART...]      all parts, or those whose names are given; results/summary.md lists them as they end
#
# TOME_ADAPTER=NAME chooses an adapter, KIT_SLOW=4 gives each part four times the time, KIT_SECONDS ends it all (1500).
set -uo pipefail
cd "$(dirname "$0")"
results=$PWD/results here=$PWD/here
slow=${KIT_SLOW:-1} end=$((SECONDS + ${KIT_SECONDS:-1500}))
mkdir -p "$results" "$here"
[ -e "$here/bin/tome" ] || tar -xJf kit.tar.xz -C "$here" || exit 1

# Where tests look for the repository, the command, and a folder for files.
export CARGO_MANIFEST_DIR=$here CARGO_BIN_EXE_tome=$here/bin/tome CARGO_TARGET_TMPDIR=$here/target/tmp
# The system's own loader first.
grep -q 'libvulkan\.so\.1' <<<"$(ldconfig -p 2>/dev/null)" || export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export TOME_REQUIRE_GPU=1 TOME_CACHE_DIR=

part() { # NAME SECONDS COMMAND...: its output goes to results/NAME.txt, its end into the summary
    local name=$1 limit=$(($2 * slow)) begin=$SECONDS status=0 left
    shift 2
    [ ${#chosen[@]} -eq 0 ] || [[ " ${chosen[*]} " == *" $name "* ]] || return 0
    left=$((end - SECONDS))
    if [ "$left" -lt 5 ]; then
        echo "| $name | not started: no time left | |" | tee -a "$results/summary.md"
        failed=1
        return 0
    fi
    (cd "$here" && timeout -k 5 $((limit < left ? limit : left)) "$@") >"$results/$name.txt" 2>&1 || status=$?
    case $status in
        0) said=passed ;;
        124 | 137) said="cut off by its time limit" failed=1 ;;
        *) said="FAILED ($status)" failed=1 ;;
    esac
    echo "| $name | $said | $((SECONDS - begin)) s |" | tee -a "$results/summary.md"
}

chosen=("$@") failed=0
printf '\n%s\n\n| part | end | time |\n|---|---|---|\n' "$(date -u +%FT%TZ) $(cat commit)" | tee -a "$results/summary.md"
part devices 30 "$here/bin/tome" devices
part kernels 240 "$here/bin/tests/kernels"
part golden 240 "$here/bin/tests/golden"
if python3 -c 'import torch, timm; assert torch.cuda.is_available()' 2>/dev/null; then
    # What tuning finds is kept for the table.
    TOME_CACHE_DIR=$here/cache part table 600 python3 "$here/benches/compare/gpu.py" --tome "$here/bin/tome" --tune --budget 560 \
        --benches "$here/bin/benches/matmul" "$here/bin/benches/soak" --out "$results/gpu"
else
    echo "| table | left out: no PyTorch with CUDA and timm here | |" | tee -a "$results/summary.md"
    part matmul 120 "$here/bin/benches/matmul" --bench
    part soak 120 "$here/bin/benches/soak" --bench
fi
for name in merger session run embedding cli; do
    part "$name" 180 "$here/bin/tests/$name"
done
part profile 60 "$here/bin/tome" bench --device "${TOME_ADAPTER:-0}" --arch vit_base_patch16_224 --batch 1,8 --r 0,13 --profile
[ ! -e "$here/bin/benches/registers" ] || part registers 120 "$here/bin/benches/registers" --bench
part bench-kernels 180 "$here/bin/benches/kernels" --bench
# These need no GPU, and the machine may have another processor than the one that packed.
for name in cpu reference files shaders; do
    part "$name" 60 "$here/bin/tests/$name"
done
exit $failed
