"""Checks a file of Docker Compose against the specification, with sample values for its variables, and prints it as JSON."""

import json
import re
import sys
from pathlib import Path

import yaml
from compose_spec import PyCompose

text = Path(sys.argv[1]).read_text(encoding="utf-8")
# Without merge keys (<<), which the checker does not know.
merged = yaml.safe_load(re.sub(r"\$\{\w+:\?[^}]*\}", "1000", text))
compose = PyCompose.from_json(json.dumps(merged))
compose.validate()
print(compose.to_json())
