#!/usr/bin/env bash
# An inversion on a cluster with Slurm, in the container: sbatch demos/hpc/job.sh case.toml results
# The container is built once where Docker runs, and brought over as a file:
#   docker build -f docker/Dockerfile -t fe-phaseinv . && docker save fe-phaseinv | gzip > fe-phaseinv.tar.gz
#   apptainer build fe-phaseinv.sif docker-archive://fe-phaseinv.tar.gz
#SBATCH --job-name=fe-phaseinv
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=32
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail
case=$1 results=$2

# Ranks on one node run inside one container, so that no MPI of the cluster has to match that of the image. What was
# reached is on disk at any time: the same line goes on after a time limit.
trap 'kill -TERM "$job"; wait "$job"' TERM
apptainer exec --env OMP_NUM_THREADS=1 fe-phaseinv.sif /opt/fe_phaseinv/docker/env.sh run \
  mpiexec -n "$SLURM_NTASKS" fe-phaseinv invert "$case" --output "$results" --resume &
job=$!
wait "$job"
