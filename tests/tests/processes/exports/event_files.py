"""Reads TensorBoard event files with TensorBoard's own reader and prints them as JSON. Argument: the folder."""

import json
import os
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

root = sys.argv[1]
runs = {}
for folder, _, files in os.walk(root):
    if not files:
        continue
    events = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    scalars = {tag: [[event.step, event.value, event.wall_time] for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    hparams = {}
    try:
        contents = events.PluginTagToContent("hparams")
    except KeyError:
        # The means have no hyper-parameters.
        contents = {}
    for tag, content in contents.items():
        data = plugin_data_pb2.HParamsPluginData.FromString(content)
        if tag.endswith("experiment"):
            hparams["experiment"] = data.experiment.name
            hparams["infos"] = [info.name for info in data.experiment.hparam_infos]
            hparams["metrics"] = [info.name.tag for info in data.experiment.metric_infos]
        if tag.endswith("session_start_info"):
            hparams["group"] = data.session_start_info.group_name
            values = data.session_start_info.hparams.items()
            hparams["settings"] = {name: getattr(value, value.WhichOneof("kind")) for name, value in values}
        if tag.endswith("session_end_info"):
            hparams["status"] = data.session_end_info.status
    runs[os.path.relpath(folder, root)] = {"scalars": scalars, "hparams": hparams}
print(json.dumps(runs))
