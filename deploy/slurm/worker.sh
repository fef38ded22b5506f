#!/bin/sh
# Workers for the sweep my-sweep (019acf2e-7d31-7c6c-9b1f-3d5a0e6f2b84): each task of this array is one worker.
# `biosweep slurm submit` writes this script.
#SBATCH --job-name=biosweep-my-sweep
#SBATCH --array=0-7
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR2@120

task=${SLURM_ARRAY_JOB_ID:?submit this script with sbatch, as an array}_$SLURM_ARRAY_TASK_ID

# Slurm sends these signals to the worker, too. The worker then writes its checkpoints and leaves, and this shell waits for its
# exit code. With `trap ''` the worker would ignore the signals, because a child process inherits that.
trap : TERM USR2

srun --kill-on-bad-exit=0 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} \
    /home/alice/biosweep/biosweep-worker --name "$SLURMD_NODENAME/$task" \
    --coordinator http://login.example:7465 \
    --home /home/alice/.local/share/biosweep \
    --idle-exit 300 \
    --grace 25
code=$?

# Only a running task is requeued. After scancel and after a requeue by an administrator, its state is COMPLETING. Another requeue
# would then succeed, and would undo the cancellation.
requeue() {
    state=$(squeue --noheader --jobs="$task" --format=%T) || return 1
    [ "$state" != RUNNING ] || scontrol requeue "$task"
}

# 75: the worker was asked to leave, and work is left. Slurm's controller may be restarting, so a failed command is tried again.
if [ "$code" -eq 75 ]; then
    for pause in 1 2 4 8 16 32 64 0; do
        requeue && exit 75
        sleep "$pause"
    done
    echo "task $task could not be requeued; other workers train its trials, or submit another one" >&2
fi
exit "$code"
