"""What a binary says it was built of, against Cargo.lock and what cargo resolves for it.

    auditable.py has BINARY                  status 0 if the binary holds a list, 1 if it holds none
    auditable.py compare BINARY ROOT [FEATURES]

The list is JSON packed by zlib, in the ELF section .dep-v0; it is read here without the tool that wrote it.
"""

import json
import platform
import struct
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path

SECTION = b".dep-v0"
# Unpacked, a list has some 50 kB.
LIST_MAX = 8 << 20


def section(binary):
    """The bytes of the section, or None."""
    data = Path(binary).read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise SystemExit(f"{binary} is no little-endian ELF of 64 bits")
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    header = lambda number: struct.unpack_from("<IIQQQQ", data, table + number * size)  # noqa: E731
    strings = header(names)[4]
    for number in range(count):
        name, _, _, _, offset, length = header(number)
        start = strings + name
        if data[start : start + len(SECTION) + 1] == SECTION + b"\0":
            return data[offset : offset + length]
    return None


def listed(binary):
    packed = section(binary)
    if packed is None:
        raise SystemExit(f"{binary} has no section {SECTION.decode()}")
    reader = zlib.decompressobj()
    text = reader.decompress(packed, LIST_MAX)
    if not reader.eof:
        raise SystemExit(f"the list of {binary} does not end")
    return json.loads(text)["packages"]


def resolved(root, features):
    """Name and version of every crate that cargo builds for the program on this machine, the program included."""
    target = f"{platform.machine()}-unknown-linux-gnu"
    command = ["cargo", "tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]
    command += ["--target", target, "--features", features]
    told = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    words = (line.split() for line in told.splitlines() if line.strip())
    return {(of[0], of[1].removeprefix("v")) for of in words}


def compare(binary, root, features):
    packages = listed(binary)
    found = {(p["name"], p["version"]) for p in packages}
    locked = {(p["name"], p["version"]): p for p in tomllib.loads(Path(root, "Cargo.lock").read_text())["package"]}
    wrong = [f"{name} {version} is listed and not in Cargo.lock" for name, version in sorted(found - locked.keys())]
    expected = resolved(root, features)
    wrong += [f"{name} {version} is built and not listed" for name, version in sorted(expected - found)]
    for p in packages:
        of = locked.get((p["name"], p["version"]), {}).get("source", "")
        is_own = p["source"] == "local" and not of
        is_registry = p["source"] == "crates.io" and of == "registry+https://github.com/rust-lang/crates.io-index"
        if not (is_own or is_registry):
            wrong.append(f"{p['name']} {p['version']} is from {p['source']}, by Cargo.lock from {of or 'here'}")
    roots = [p["name"] for p in packages if p.get("root")]
    if roots != ["fragility"]:
        wrong.append(f"its root is {roots}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    build = sum(p.get("kind") == "build" for p in packages)
    # The tool asks cargo for all features that anything asks for, tests and benches included.
    more = f"; {len(found - expected)} more by features that tests alone ask for" if found - expected else ""
    print(f"{len(expected)} crates that are built are named, {build} as for the build alone, all by Cargo.lock{more}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["has", binary]:
            sys.exit(section(binary) is None)
        case ["compare", binary, root, *features]:
            compare(binary, root, ",".join(features))
        case _:
            sys.exit(__doc__)
