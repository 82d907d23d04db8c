"""The bill of materials of the program, out of what cargo-cyclonedx writes.

    sbom.py finish RAW ROOT     to standard output: RAW without paths, times and what is not built, with the C libraries in crates
    sbom.py check BOM ROOT      against the schema and Cargo.lock; needs cyclonedx-python-lib[json-validation]

A path of the machine stands in RAW wherever the program's own crate is named, and a random number and a time at its top:
the first gives way to the package's URL, the others go, so that the same sources give the same bytes.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import auditable

# Crates that carry the sources of a C library in their archive: its group and name, its licence, and what stands before
# the version in the name of its release. The version is the second half of the crate's (300.6.1+3.6.3 is OpenSSL 3.6.3),
# or stands in a file.
CARRIERS = {
    "libz-sys": ("madler", "zlib", "Zlib", "v", ("src/zlib/zlib.h", r'#define ZLIB_VERSION "([0-9.]+)"')),
    "openssl-src": ("openssl", "openssl", "Apache-2.0", "openssl-", None),
    "rdkafka-sys": ("confluentinc", "librdkafka", "BSD-2-Clause", "v", None),
    "zstd-sys": ("facebook", "zstd", "BSD-3-Clause", "v", None),
}
# By which the national vulnerability database knows them.
CPE = {"openssl": "openssl:openssl", "zlib": "zlib:zlib"}


def walk(value, change):
    """Every text in a value, changed."""
    if isinstance(value, dict):
        return {key: walk(of, change) for key, of in value.items()}
    if isinstance(value, list):
        return [walk(of, change) for of in value]
    return change(value) if isinstance(value, str) else value


def unpathed(text):
    """path+file:///any/where#fragility@0.1.0 is the crate's URL, without where it lay."""
    text = re.sub(r"^path\+file://[^#]*#([^@ ]+)@([^ ]+)", r"pkg:cargo/\1@\2", text)
    return re.sub(r"\?download_url=file:[^#]*", "", text)


def carried(name, version, root):
    """The version of the library that a crate carries."""
    place = CARRIERS[name][-1]
    if place is None:
        return version.partition("+")[2].removeprefix("zstd.")
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)
    of = next(p for p in metadata["packages"] if (p["name"], p["version"]) == (name, version))
    found = re.search(place[1], Path(of["manifest_path"]).parent.joinpath(place[0]).read_text())
    return found[1] if found else ""


def finish(raw, root):
    bom = walk(json.loads(Path(raw).read_text()), unpathed)
    bom.pop("serialNumber", None)
    bom["metadata"].pop("timestamp", None)
    # The tool lists what any feature brings in that anything asks for, tests included: only what is built stays.
    built = auditable.resolved(root, "")
    bom["components"] = [c for c in bom["components"] if (c["name"], c["version"]) in built]
    there = {c["bom-ref"] for c in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    bom["dependencies"] = [of for of in bom["dependencies"] if of["ref"] in there]
    for of in bom["dependencies"]:
        of["dependsOn"] = [on for on in of.get("dependsOn", []) if on in there]
    added = {}
    for component in bom["components"]:
        name, version = component["name"], component["version"]
        if name not in CARRIERS:
            continue
        group, library, licence, before, _ = CARRIERS[name]
        of = carried(name, version, root)
        if not of:
            raise SystemExit(f"{name} {version} does not say which {library} it carries")
        purl = f"pkg:github/{group}/{library}@{before}{of}"
        added[component["bom-ref"]] = {
            "type": "library",
            "bom-ref": purl,
            "group": group,
            "name": library,
            "version": of,
            "description": f"C sources within the crate {name} {version}",
            "scope": "required",
            "licenses": [{"expression": licence}],
            "purl": purl,
        }
        if library in CPE:
            added[component["bom-ref"]]["cpe"] = f"cpe:2.3:a:{CPE[library]}:{of}:*:*:*:*:*:*:*"
    if len(added) != len(CARRIERS):
        raise SystemExit(f"of {sorted(CARRIERS)} {len(added)} are among the crates: mend CARRIERS")
    bom["components"] = sorted([*bom["components"], *added.values()], key=lambda c: c["bom-ref"])
    for of in bom["dependencies"]:
        extra = [added[of["ref"]]["bom-ref"]] if of["ref"] in added else []
        of["dependsOn"] = sorted([*of["dependsOn"], *extra])
    leaves = [{"ref": component["bom-ref"]} for component in added.values()]
    bom["dependencies"] = sorted([*bom["dependencies"], *leaves], key=lambda d: d["ref"])
    json.dump(bom, sys.stdout, indent=1, ensure_ascii=False, sort_keys=True)
    print()


def check(path, root):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = Path(path).read_text()
    bom = json.loads(text)
    version = SchemaVersion.from_version(bom["specVersion"])
    wrong = [str(e) for e in JsonStrictValidator(version).validate_str(text, all_errors=True) or ()]
    wrong += [f"it names a place of a machine: {of}" for of in sorted(set(re.findall(r"file://[^\"]*|\"/[^\"]*", text)))]
    references = {c["bom-ref"] for c in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    for of in bom["dependencies"]:
        wrong += [f"{of['ref']} depends on {on}, which is not there" for on in {of["ref"], *of.get("dependsOn", [])} - references]
    locked = {(p["name"], p["version"]): p for p in tomllib.loads(Path(root, "Cargo.lock").read_text())["package"]}
    crates = [c for c in bom["components"] if c.get("purl", "").startswith("pkg:cargo/")]
    for c in crates:
        of = locked.get((c["name"], c["version"]))
        hashes = [h["content"] for h in c.get("hashes", []) if h["alg"] == "SHA-256"]
        if of is None:
            wrong.append(f"{c['name']} {c['version']} is not in Cargo.lock")
        elif hashes != [of["checksum"]]:
            wrong.append(f"{c['name']} {c['version']} has another checksum than Cargo.lock")
        if not c.get("licenses"):
            wrong.append(f"{c['name']} {c['version']} has no licence")
    expected = auditable.resolved(root, "") - {("fragility", bom["metadata"]["component"]["version"])}
    found = {(c["name"], c["version"]) for c in crates}
    wrong += [f"{name} {version} is built and not in it" for name, version in sorted(expected - found)]
    wrong += [f"{name} {version} is in it and not built" for name, version in sorted(found - expected)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    print(f"CycloneDX {bom['specVersion']}: {len(crates)} crates and {len(bom['components']) - len(crates)} C libraries, as cargo has them")


match sys.argv[1:]:
    case ["finish", raw, root]:
        finish(raw, root)
    case ["check", path, root]:
        check(path, root)
    case _:
        sys.exit(__doc__)
