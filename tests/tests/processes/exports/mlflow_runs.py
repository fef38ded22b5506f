"""Reads and writes the runs of an experiment with MLflow's own client.

`read URL EXPERIMENT` prints the runs by trial as JSON, with every value of every metric.
`begin URL EXPERIMENT TAGS METRICS` creates a run as an interrupted export leaves it: with tags (a JSON object) and some
values of metrics (a JSON list of [name, value, step]).
"""

import json
import sys

from mlflow import MlflowClient

action, url, name, *rest = sys.argv[1:]
client = MlflowClient(tracking_uri=url)


def history(run):
    """Every value, with its step; a number that JSON lacks is a text."""
    values = {}
    for key in run.data.metrics:
        found = client.get_metric_history(run.info.run_id, key)
        values[key] = sorted([metric.step, metric.value if metric.value == metric.value else "NaN"] for metric in found)
    return values


if action == "read":
    experiment = client.get_experiment_by_name(name)
    runs = {}
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        trial = run.data.tags["biosweep.trial"]
        assert trial not in runs, f"trial {trial} has two runs"
        runs[trial] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "seconds": (run.info.end_time - run.info.start_time) / 1000,
            "tags": run.data.tags,
            "params": run.data.params,
            "metrics": history(run),
        }
    print(json.dumps(runs))
else:
    tags, metrics = map(json.loads, rest)
    run = client.create_run(client.create_experiment(name), tags=tags)
    for key, value, step in metrics:
        client.log_metric(run.info.run_id, key, value, step=step)
