"""Prints the custom resources in rendered files as typed TypeScript: its compiler then refuses unknown and missing fields."""

import json
import sys

import yaml

TYPES = {"keda.sh": "@kubernetes-models/keda", "monitoring.coreos.com": "@kubernetes-models/prometheus-operator"}
# What kubernetes-validate has checked.
BUILT_IN = {"apps", "policy", "networking.k8s.io"}

count = 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        for resource in yaml.safe_load_all(file):
            group, _, version = resource["apiVersion"].rpartition("/")
            if not group or group in BUILT_IN:
                continue
            kind, name = resource["kind"], resource["metadata"]["name"]
            if group not in TYPES:
                sys.exit(f"{path}: there is nothing to check {kind} {name} of {group} with")
            count += 1
            print(f'import type {{ I{kind} as T{count} }} from "{TYPES[group]}/{group}/{version}/{kind}";')
            print(f"export const {kind.lower()}{count}: T{count} = {json.dumps(resource)};  // {path}: {name}")
