"""Holds a Compose file against the schema of Compose files, and looks for what that cannot see: names that nothing has, and
a container that may do more than it needs."""

import json
import sys
from pathlib import Path

import jsonschema
import yaml


def wrong(compose):
    for name, service in compose["services"].items():
        for kind in ("secrets", "networks", "depends_on"):
            named = {used["source"] if isinstance(used, dict) else used for used in service.get(kind, ())}
            there = compose["services" if kind == "depends_on" else kind]
            yield from (f"{name}: there is no {other} in {kind}" for other in sorted(named - there.keys()))
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source not in compose["volumes"] and not (FOLDER / source).is_file():
                yield f"{name}: there is no {source}"
        if service.get("cap_drop") != ["ALL"] or "no-new-privileges:true" not in service.get("security_opt", ()):
            yield f"{name} keeps privileges"
        if service.get("user", "0").split(":")[0] == "0":
            yield f"{name} is root"
        if "mem_limit" not in service:
            yield f"{name} may take all memory"
        if any(not port.startswith("127.0.0.1:") for port in service.get("ports", ())):
            yield f"{name} is published beyond this machine"


schema_file, compose_file = map(Path, sys.argv[1:])
FOLDER = compose_file.parent
compose = yaml.safe_load(compose_file.read_text())
found = [
    f"{'/'.join(map(str, error.path))}: {error.message}"
    for error in jsonschema.Draft201909Validator(json.loads(schema_file.read_text())).iter_errors(compose)
]
found = found or list(wrong(compose))
if found:
    sys.exit("\n".join(f"{compose_file}: {line}" for line in found))
