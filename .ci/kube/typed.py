"""Prints the custom resources in rendered files as typed TypeScript: its compiler then refuses unknown and missing fields."""

import json
import sys

import yaml

# Where the type of a kind is: of these packages, or in rabbitmq.d.ts.
TYPES = {
    "external-secrets.io": "@kubernetes-models/external-secrets/{group}/{version}/{kind}",
    "gateway.networking.k8s.io": "@kubernetes-models/gateway-api/{group}/{version}/{kind}",
    "keda.sh": "@kubernetes-models/keda/{group}/{version}/{kind}",
    "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/{group}/{version}/{kind}",
    "rabbitmq.com": "{group}/{version}",
}
# What kubernetes-validate has checked.
BUILT_IN = {"apps", "autoscaling", "policy", "networking.k8s.io"}

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
            source = TYPES[group].format(group=group, version=version, kind=kind)
            print(f'import type {{ I{kind} as T{count} }} from "{source}";')
            print(f"export const {kind.lower()}{count}: T{count} = {json.dumps(resource)};  // {path}: {name}")
