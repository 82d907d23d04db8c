"""Topics and users against the definitions that the operator's own generator prints, and against the names and modes
that the service and its documents speak of.

    strimzi.py DEFINITIONS MANIFESTS BINARY CONFIG
"""

import pathlib
import re
import subprocess
import sys

import jsonschema
import yaml

definitions, manifests, binary, config = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
wrong = []


def closed(schema):
    """A schema that takes no field that it does not name, unless it says that it keeps them."""
    if isinstance(schema, list):
        return [closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    made = {k: closed(v) for k, v in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


schemas = {}
for file in definitions.glob("*.yaml"):
    definition = yaml.safe_load(file.read_text())
    for version in definition["spec"]["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        schemas[f"{definition['spec']['group']}/{version['name']}", definition["spec"]["names"]["kind"]] = schema
found = {}
for file in ("topics.yaml", "users.yaml"):
    for document in yaml.safe_load_all((manifests / file).read_text()):
        name = f"{document['kind']} {document['metadata']['name']}"
        found.setdefault(document["kind"], {})[document["metadata"]["name"]] = document
        schema = schemas.get((document["apiVersion"], document["kind"]))
        if schema is None:
            wrong.append(f"{name}: {document['apiVersion']} is not defined")
            continue
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
            wrong.append(f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message}")

topics = {n: t["spec"] for n, t in found["KafkaTopic"].items()}
compacted = {n for n, t in topics.items() if t["config"]["cleanup.policy"] == "compact"}
if compacted != {"reference", "state", "snapshots"}:
    wrong.append(f"compacted are {sorted(compacted)}")
for name, topic in topics.items():
    if topic["replicas"] < 3 or topic["config"]["min.insync.replicas"] != topic["replicas"] - 1:
        wrong.append(f"{name} does not outlive a broker")
if topics["members"]["config"]["retention.ms"] < topics["market"]["config"]["retention.ms"]:
    wrong.append("members is kept for less long than market")
if topics["market"]["config"].get("message.timestamp.type") != "CreateTime":
    wrong.append("timestamps of market are not the producer's")
# The defaults that name a topic name one of these; those that are empty are named by the chart.
effective = subprocess.run([binary, "check", "--config", config, "--effective"], capture_output=True, text=True, check=True, timeout=30).stdout
for key, topic in re.findall(r'^kafka\.topics\.(\w+) = "([^"]+)"', effective, re.M):
    if topic not in topics:
        wrong.append(f"kafka.topics.{key} is {topic}, which is not there")
values = yaml.safe_load((manifests.parent / "helm/fragility/values.yaml").read_text())["kafka"]
for key, topic in values["topics"].items():
    if topic not in topics:
        wrong.append(f"the chart's kafka.topics.{key} is {topic}, which is not there")
if values["marketPartitions"] != topics["market"]["partitions"]:
    wrong.append(f"the chart counts with {values['marketPartitions']} partitions of market, it has {topics['market']['partitions']}")
# Least rights: no wildcard, nothing of the cluster, no right to create, change or delete.
for name, user in found["KafkaUser"].items():
    for acl in user["spec"]["authorization"]["acls"]:
        resource = acl["resource"]
        if resource["type"] == "cluster" or resource.get("name") in (None, "*") or set(acl["operations"]) - {"Read", "Write", "Describe"}:
            wrong.append(f"{name} may {acl['operations']} {resource}")
        if resource["type"] == "topic" and resource["name"] not in topics:
            wrong.append(f"{name} has rights to {resource['name']}, which is not there")

print(*wrong, sep="\n", end="\n" if wrong else "")
print(f"{len(topics)} topics, {len(found['KafkaUser'])} users, {len(wrong)} problems")
sys.exit(bool(wrong))
