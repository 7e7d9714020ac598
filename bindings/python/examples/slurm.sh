#!/bin/bash
# Embeds a folder of pictures by an array of Slurm's jobs, each with a share of them and a file of its own:
#   sbatch slurm.sh photos out hf-hub:facebook/dinov2-small 13
# Sent again it does the shares that are missing: a file that is there is whole. Read them as one table, out/*.parquet.
# More shares than machines, of ten minutes each: what is lost with a machine is at most a share.
#SBATCH --job-name=tome
#SBATCH --array=1-64%8
#SBATCH --gpus=1
#SBATCH --cpus-per-task=16
#SBATCH --time=01:00:00
#SBATCH --requeue
set -euo pipefail

input=${1:?a folder of pictures} output=${2:?a folder for Parquet files} model=${3:?a network} r=${4:-0}
mkdir -p "$output"
# `tome` with the feature parquet. Slurm numbers an array that begins at 1 up to its count.
exec "${TOME:-tome}" infer --model "$model" --input "$input" --recursive --r "$r" \
    --output "$output/part.parquet" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
