"""Updates per second of one training step: ours, PyTorch eager and JAX, in turns on one pinned core."""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class Peer:
    """A peer's process, held open: it is told how many steps to do and answers with the seconds they took."""

    def __init__(self, script, cell, core):
        command = ["taskset", "-c", str(core), sys.executable, str(HERE / script), *map(str, cell)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | ONE_THREAD, **pipes)

    def ask(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("a peer ended without an answer; what it said stands above")
        return float(answer)

    def rate(self, updates):
        return updates / self.ask(f"round {updates}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def ours(worker, cell, updates, core):
    """Updates per second of this project's worker; None where it does not know the cell."""
    rule, network, depth, optimizer = cell
    options = ["--rule", rule, "--network", network, "--depth", str(depth), "--optimizer", optimizer]
    command = ["taskset", "-c", str(core), worker, "bench", *options, "--updates", str(updates), "--output", "json"]
    answer = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False)
    if answer.returncode == 2:
        return None
    if answer.returncode != 0:
        sys.exit(f"{' '.join(command)}: {answer.stderr}")
    return json.loads(answer.stdout)["updates_per_s"]


def cells():
    dense = itertools.product(["bp", "fa"], ["nn", "dn"], [5, 10], ["sgd", "adam"])
    convolutional = itertools.product(["bp", "fa"], ["convnet", "dense_convnet"], [4], ["sgd"])
    return [*dense, *convolutional]


def measure(cell, options):
    is_convolutional = cell[1].endswith("convnet")
    scale = 0.1 if is_convolutional else 0.3 if cell[1:3] == ("dn", 10) else 1.0
    updates = max(5, int(options.updates * scale))
    peers = {"pytorch": Peer("torch_step.py", cell, options.core)}
    if not is_convolutional:
        peers["jax"] = Peer("jax_step.py", cell, options.core)
    if options.check and "jax" in peers:
        losses = {}
        for name, peer in peers.items():
            peer.ask("round 5")
            losses[name] = peer.ask("loss")
        # Adam divides small gradients by their size, and with them their rounding errors.
        allowed = 1e-3 if cell[3] == "sgd" else 1e-2
        if abs(losses["pytorch"] - losses["jax"]) > allowed * abs(losses["jax"]):
            sys.exit(f"{cell}: the peers disagree after five updates: {losses}")
    rates = {"ours": [], **{name: [] for name in peers}}
    for peer in peers.values():
        peer.rate(updates)
    for _ in range(options.rounds):
        # Our bench gives half of its time to the bare matrix products, and one round in sixteen to warm up.
        rates["ours"].append(ours(options.worker, cell, updates, options.core))
        for name, peer in peers.items():
            rates[name].append(peer.rate(updates))
    for peer in peers.values():
        peer.close()
    return {name: None if None in of else statistics.median(of) for name, of in rates.items()}


def row(cell, found):
    rule, network, depth, optimizer = cell
    number = lambda rate: "–" if rate is None else f"{rate:.0f}"
    ratio = lambda peer: f"{found['ours'] / found[peer]:.2f}" if found.get(peer) and found["ours"] else "–"
    rates = [number(found.get(name)) for name in ("ours", "pytorch", "jax")]
    return f"| {rule} | {network} {depth} | {optimizer} | {' | '.join(rates)} | {ratio('pytorch')} | {ratio('jax')} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", default="target/release/biosweep-worker")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=300, help="steps in a round of the smallest network")
    parser.add_argument("--core", type=int, default=0, help="the core that all are pinned to")
    parser.add_argument("--cells", default="", help="only cells whose name has this in it, such as bp-nn-5-sgd")
    parser.add_argument("--check", action="store_true", help="compare the peers' losses after five updates first")
    parser.add_argument("--output", choices=["human", "json"], default="human")
    options = parser.parse_args()
    chosen = [cell for cell in cells() if options.cells in "-".join(map(str, cell))]
    if not chosen:
        sys.exit(f"no cell has `{options.cells}` in its name; they are {', '.join('-'.join(map(str, c)) for c in cells())}")
    if options.output == "human":
        print("| rule | network | optimizer | ours | PyTorch | JAX | ours / PyTorch | ours / JAX |")
        print("|---|---|---|---|---|---|---|---|")
    for cell in chosen:
        found = measure(cell, options)
        if options.output == "json":
            print(json.dumps({"cell": "-".join(map(str, cell)), **found}), flush=True)
        else:
            print(row(cell, found), flush=True)


if __name__ == "__main__":
    main()
