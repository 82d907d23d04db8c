"""What a rendered chart promises, and whether the service takes the configuration that it makes.

    chart.py RENDERED.yaml BINARY SCRATCH
"""

import pathlib
import re
import subprocess
import sys

import yaml

rendered, binary, scratch = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
documents = [d for d in yaml.safe_load_all(rendered.read_text()) if d]
wrong = []


def ask(holds, what):
    if not holds:
        wrong.append(what)


def kinds(kind):
    return [d for d in documents if d["kind"] == kind]


[workload] = kinds("StatefulSet")
pod = workload["spec"]["template"]["spec"]
[container] = pod["containers"]

# A broker that is away, or lag, never kills.
ask(container["livenessProbe"]["httpGet"]["path"] == "/healthz", "liveness asks more than whether the process answers")
ask(container["startupProbe"]["httpGet"]["path"] == "/healthz", "a start fails for want of a broker")
ask(container["readinessProbe"]["httpGet"]["path"] == "/readyz", "readiness does not ask /readyz")
startup = container["startupProbe"]
ask(startup["periodSeconds"] * startup["failureThreshold"] >= 120, "a start has less than two minutes")
# Longer than Service::stop waits, and than a partition that is given up takes.
ask(pod["terminationGracePeriodSeconds"] > 6, "a stop is cut short")

ask(pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0, "it runs as root")
ask(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "system calls are not filtered")
ask(container["securityContext"]["readOnlyRootFilesystem"], "its root is writable")
ask(container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, "it keeps capabilities")
ask(container["securityContext"]["allowPrivilegeEscalation"] is False, "it may gain privileges")
ask(pod["automountServiceAccountToken"] is False, "it has a token of the cluster")
ask("memory" in container["resources"]["limits"], "its memory has no bound")

selector = workload["spec"]["selector"]["matchLabels"].items()
ask(selector <= workload["spec"]["template"]["metadata"]["labels"].items(), "the StatefulSet does not find its pods")
for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
    for d in kinds(kind):
        chosen = d["spec"].get("podSelector") or d["spec"]["selector"]
        chosen = chosen.get("matchLabels", chosen)
        ask(chosen.items() <= workload["spec"]["template"]["metadata"]["labels"].items(), f"{kind} {d['metadata']['name']} does not find the pods")
ask(workload["spec"]["serviceName"] in [d["metadata"]["name"] for d in kinds("Service")], "the headless service is not there")
for monitor in kinds("ServiceMonitor"):
    found = [d for d in kinds("Service") if monitor["spec"]["selector"]["matchLabels"].items() <= d["metadata"]["labels"].items()]
    ask(len(found) == 1, f"the ServiceMonitor finds {len(found)} services")
    labels = {e["path"]: {r["targetLabel"]: r["replacement"] for r in e["relabelings"]} for e in monitor["spec"]["endpoints"]}
    wanted = {"/metrics": {"job": "fragility"}, "/metrics/symbols": {"job": "fragility", "metrics_path": "/metrics/symbols"}}
    ask(labels == wanted, f"the ServiceMonitor asks for {labels}, not for {wanted}")

mounted = {m["name"] for m in container["volumeMounts"]}
offered = {v["name"] for v in pod.get("volumes", [])} | {c["metadata"]["name"] for c in workload["spec"]["volumeClaimTemplates"]}
ask(mounted == offered, f"volumes {sorted(mounted ^ offered)} are only offered or only mounted")

# The environment as the kubelet would make it; what comes out of a secret looks like a number.
values, secret = {"metadata.name": workload["metadata"]["name"] + "-0"}, "1e5"
environment = {}
for variable in container["env"]:
    source = variable.get("valueFrom", {})
    if "fieldRef" in source:
        value = values[source["fieldRef"]["fieldPath"]]
    elif "secretKeyRef" in source:
        value = secret
    else:
        value = re.sub(r"\$\((\w+)\)", lambda m: environment.get(m[1], m[0]), variable.get("value", ""))
    environment[variable["name"]] = value
[config] = [d for d in kinds("ConfigMap") if "fragility.toml" in d["data"]]
ask(not re.search(r"(?i)password|secret|private key", config["data"]["fragility.toml"]), "the ConfigMap has a secret")
file = scratch / f"{rendered.stem}.toml"
file.write_text(config["data"]["fragility.toml"])
checked = subprocess.run([binary, "check", "--config", str(file), "--effective"], env=environment, capture_output=True, text=True, timeout=30)
ask(checked.returncode == 0, f"the service refuses its configuration: {checked.stderr.strip()}")
effective = dict(re.findall(r"^(\S+) = (.*?)\s+# \S.*$", checked.stdout, re.M))
ask(effective.get("kafka.instance_id") == f'"{values["metadata.name"]}"', "the instance is not named after the pod")
ask(effective.get("state.dir") == '"/var/lib/fragility"', "state lies outside the volume")
ask(effective.get("http.listen") == '"0.0.0.0:9600"', "probes do not reach HTTP")
# What is made of a secret is text, whatever it looks like; a password is masked, so its quotes are looked at.
for variable in container["env"]:
    name, given = variable["name"], variable.get("value", "")
    if "$(KAFKA_SASL_" in given:
        key = "kafka.properties." + name.split("__")[-1].lower().replace("_", ".")
        ask(given.startswith("'''") and given.endswith("'''"), f"{name} has no quotes")
        ask(effective.get(key, "").startswith('"'), f"{key} is read as {effective.get(key)}")

print(*wrong, sep="\n", end="\n" if wrong else "")
print(f"{rendered.stem}: {len(documents)} resources, {len(wrong)} problems")
sys.exit(bool(wrong))
