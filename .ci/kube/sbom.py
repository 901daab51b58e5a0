"""Whether standard input is a CycloneDX bill of materials of the program: with every dependency of Cargo.toml, each part as it
is in Cargo.lock, with a licence, and reached from the program."""

import json
import sys
import tomllib
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = sys.stdin.read()
if error := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
    sys.exit(f"it is not CycloneDX 1.5: {error}")
made = json.loads(text)
parts = {part["name"]: part for part in made["components"]}
wrong = [f"{name} is missing" for name in tomllib.loads(Path("Cargo.toml").read_text())["dependencies"] if name not in parts]
locked = {
    (package["name"], package["version"], package.get("checksum"))
    for package in tomllib.loads(Path("Cargo.lock").read_text())["package"]
}
for part in made["components"]:
    checksums = [digest["content"] for digest in part.get("hashes", ())] or [None]
    if (part["name"], part["version"], checksums[0]) not in locked or not part.get("licenses"):
        wrong.append(f"{part['purl']} is not as in Cargo.lock, or has no licence")
uses = {entry["ref"]: entry["dependsOn"] for entry in made["dependencies"]}
found, waiting = set(), [made["metadata"]["component"]["bom-ref"]]
while waiting:
    new = set(uses[waiting.pop()]) - found
    found |= new
    waiting += new
if found != {part["bom-ref"] for part in made["components"]}:
    wrong.append("what is depended on is not what there is")
if wrong or len(parts) < 50:
    sys.exit("\n".join(wrong) or f"only {len(parts)} parts")
