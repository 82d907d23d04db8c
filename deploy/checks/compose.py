"""The try-out stack: its schema, its locks, and whether the service takes the configuration that it is given.

    compose.py ROOT SCHEMA BINARY
"""

import json
import pathlib
import re
import subprocess
import sys

import jsonschema
import yaml

root, schema, binary = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
home = root / "deploy/compose"
stack = yaml.safe_load((home / "compose.yml").read_text())
wrong = []

rules = json.loads(pathlib.Path(schema).read_text())
validator = jsonschema.validators.validator_for(rules)(rules)
for error in validator.iter_errors(stack):
    wrong.append(f"{'/'.join(map(str, error.absolute_path))}: {error.message}")

for name, service in stack["services"].items():
    def ask(holds, what):
        if not holds:
            wrong.append(f"{name}: {what}")

    ask(service.get("read_only") is True, "its root is writable")
    ask(service.get("cap_drop") == ["ALL"], "it keeps capabilities")
    ask("no-new-privileges:true" in service.get("security_opt", []), "it may gain privileges")
    ask("mem_limit" in service and "pids_limit" in service, "it has no bound on memory or processes")
    ask(re.search(r":v?\d+\.\d+\.\d+$", service["image"]), f"{service['image']} is not pinned to a version")
    ask(not service.get("privileged") and "network_mode" not in service, "it leaves its container")
    for port in service.get("ports", []):
        ask(str(port).startswith("127.0.0.1:"), f"port {port} is open to the world")
    runs_once = service.get("restart") == "no" and name != "demo"
    ask(runs_once or "healthcheck" in service, "it has no health check")
    for volume in service.get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            ask(rest.endswith(":ro"), f"{volume} is writable")
            if not (home / source).exists():
                print(f"note: {name} mounts {(home / source).resolve().relative_to(root)}, which is not there")
        else:
            ask(source in stack["volumes"], f"volume {source} is not declared")
    for other in service.get("depends_on", {}):
        ask(other in stack["services"], f"depends on {other}, which is not there")

# Who asks whom, by names of the stack; and the dashboards lie where Grafana is told to look.
def ask_stack(url, by):
    host, _, port = re.sub(r"^https?://", "", url).partition(":")
    if host not in stack["services"] or not any(p.endswith(f":{port}") for p in stack["services"].get(host, {}).get("ports", [])):
        wrong.append(f"{by} asks {url}, which is not there")


scraped = yaml.safe_load((home / "prometheus.yml").read_text())
for section in (*scraped["scrape_configs"], *scraped["alerting"]["alertmanagers"]):
    for target in section["static_configs"][0]["targets"]:
        ask_stack(target, "prometheus.yml")
# Both paths of each target are one job, and the second has a label that the rules leave out.
for file in (home / "prometheus.yml", root / "deploy/prometheus/prometheus.yml"):
    asked = {}
    for section in yaml.safe_load(file.read_text())["scrape_configs"]:
        path = section.get("metrics_path", "/metrics")
        labels = {"job": section["job_name"], **{r["target_label"]: r["replacement"] for r in section.get("relabel_configs", [])}}
        asked.setdefault(path, []).append((section["static_configs"], labels))
    targets = next((targets for targets, _ in asked.get("/metrics", [])), None)
    symbols = {"job": "fragility", "metrics_path": "/metrics/symbols"}
    if asked != {"/metrics": [(targets, {"job": "fragility"})], "/metrics/symbols": [(targets, symbols)]}:
        wrong.append(f"{file.relative_to(root)}: /metrics and /metrics/symbols are not asked for as one job of the same targets")
for source in yaml.safe_load((home / "datasource.yml").read_text())["datasources"]:
    ask_stack(source["url"], "datasource.yml")
boards = [v.split(":")[1] for v in stack["services"]["grafana"]["volumes"] if v.startswith("../grafana/dashboards:")]
for file in (root / "deploy/grafana/provisioning/dashboards").glob("*.yml"):
    for provider in yaml.safe_load(file.read_text())["providers"]:
        if provider["options"]["path"] not in boards:
            wrong.append(f"{file.name} looks for dashboards in {provider['options']['path']}, they are in {boards}")

# Topics that the service is told to use are those that are made, and the feed knows the partitions of one.
checked = subprocess.run([binary, "check", "--config", str(home / "fragility.toml"), "--effective"], capture_output=True, text=True, timeout=30)
if checked.returncode:
    wrong.append(f"fragility.toml: {checked.stderr.strip()}")
made = dict(re.findall(r"^topic (\S+) (\d+)", (home / "topics.sh").read_text(), re.M))
for key, topic in re.findall(r'^kafka\.topics\.(\w+) = "([^"]+)"', checked.stdout, re.M):
    if topic not in made:
        wrong.append(f"topics.sh does not make {topic} (kafka.topics.{key})")
if made.get("market") != "4":
    wrong.append("feed.sh has heartbeats for 4 partitions of market")

print(*wrong, sep="\n", end="\n" if wrong else "")
print(f"{len(stack['services'])} services, {len(wrong)} problems")
sys.exit(bool(wrong))
