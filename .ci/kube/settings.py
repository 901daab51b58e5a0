"""Has `milepost config check` judge what each container of the overlays that ./run rendered and of the Compose file is
configured with: its variables, its file, and secrets where it looks for them. A key that is renamed would else be found on
a cluster. From the root of the repository."""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

MILEPOST = "target/debug/milepost"
RENDERED = [Path("target/kube-check", f"{overlay.name}.yaml") for overlay in Path("deploy/overlays").iterdir()]
SECRETS = "/run/secrets"
VERSION = tomllib.loads(Path("Cargo.toml").read_text())["package"]["version"]
REDIS = "redis://redis:6379/0"
HASH = subprocess.run([MILEPOST, "console", "hash"], input="password", capture_output=True, text=True, check=True).stdout.strip()
URLS = {
    "amqp-url": "amqp://user:password@rabbitmq:5672/%2f",
    "redis-url": REDIS,
    "redis-url-receiver": REDIS,
    "dash": "key:secret",
    "console-users.toml": f'[users.operator]\nhash = "{HASH}"\nrights = ["see"]\n',
    "users.toml": '[users."*"]\nrights = ["see"]\n',
}


def containers(path):
    """The name, variables and configuration file of each that runs Milepost."""
    documents = list(yaml.safe_load_all(path.read_text()))
    for name, service in documents[0].get("services", {}).items():
        if service["image"].endswith("/milepost:dev"):
            yield name, service["environment"], ""
    configurations = {made["metadata"]["name"]: made["data"] for made in documents if made.get("kind") == "ConfigMap"}
    for made in documents:
        if made.get("kind") == "Deployment" and made["metadata"]["name"].startswith("milepost-"):
            pod = made["spec"]["template"]["spec"]
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            configuration = configurations[volumes["config"]["configMap"]["name"]]["milepost.toml"]
            variables = {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}
            yield made["metadata"]["name"], variables, configuration


def judged(variables, configuration):
    with tempfile.TemporaryDirectory() as folder:
        moved = {name: value.replace(SECRETS, folder + SECRETS) for name, value in variables.items()}
        for name, value in moved.items():
            for path in re.findall(rf"{folder}{SECRETS}/[\w./-]+", value):
                secret = Path(path, "current") if name.endswith("SECRET_DIR") else Path(path)
                secret.parent.mkdir(parents=True, exist_ok=True)
                secret.write_text(URLS.get(secret.name, "secret"))
        file = Path(folder, "milepost.toml")
        file.write_text(configuration)
        ended = subprocess.run(
            [MILEPOST, "config", "check"], env=moved | {"MILEPOST_CONFIG": file}, capture_output=True, text=True
        )
    return ended.stdout + ended.stderr if ended.returncode or "warning" in ended.stderr else ""


def other_versions(path):
    """What of a rendered file is not labelled with, or not an image of, this version."""
    for made in yaml.safe_load_all(path.read_text()):
        if made.get("kind") == "Deployment" and made["metadata"]["name"].startswith("milepost-"):
            pod = made["spec"]["template"]
            for labels in (made["metadata"]["labels"], pod["metadata"]["labels"]):
                if labels.get("app.kubernetes.io/version") != VERSION:
                    yield f"{path}: {made['metadata']['name']}: its version is not {VERSION}"
            if not re.search(rf":({re.escape(VERSION)}|dev)$|@sha256:", pod["spec"]["containers"][0]["image"]):
                yield f"{path}: {made['metadata']['name']}: its image is not {VERSION}"


count, wrong = 0, []
for path in [*RENDERED, Path("deploy/compose.yaml")]:
    for name, variables, configuration in containers(path):
        count += 1
        if says := judged(variables, configuration):
            wrong.append(f"{path}: {name}: {says}")
for path in RENDERED:
    wrong += other_versions(path)
if f"image.version={VERSION} " not in Path("deploy/image/Dockerfile").read_text():
    wrong.append(f"deploy/image/Dockerfile: its label is not of version {VERSION}")
if wrong or not count:
    sys.exit("\n".join(wrong) or "there is no container that runs Milepost")
