"""The build context of the image: everything that the sources include has to be let in by the ignore file.

    context.py ROOT
"""

import fnmatch
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1]).resolve()
ignore = root / "deploy/container/Containerfile.dockerignore"
rules = [line.strip() for line in ignore.read_text().splitlines() if line.strip() and not line.startswith("#")]


def is_in(path):
    """The last rule that speaks of the path or of a directory above it decides."""
    name = path.relative_to(root).as_posix()
    above = [name, *(p.as_posix() for p in pathlib.PurePosixPath(name).parents)]
    kept = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        if any(fnmatch.fnmatchcase(p, pattern) for p in above):
            kept = rule.startswith("!")
    return kept


wanted = {root / "Cargo.toml", root / "Cargo.lock", root / "build.rs"}
wanted |= {root / "benches" / f"{name}.rs" for name in re.findall(r'\[\[bench\]\]\nname = "(\w+)"', (root / "Cargo.toml").read_text())}
for source in (root / "src").rglob("*.rs"):
    text = source.read_text()
    wanted.add(source)
    wanted |= {(source.parent / p).resolve() for p in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', text)}
    # Directories whose files are named one by one by a macro.
    for part in re.findall(r'include_(?:str|bytes)!\(\s*concat!\("([^"]+/)"', text):
        wanted |= {f for f in (source.parent / part).resolve().rglob("*") if f.is_file()}
for line in (root / "deploy/container/Containerfile").read_text().splitlines():
    copied = re.match(r"COPY (?!--from)(\S+) /", line)
    if copied:
        wanted.add(root / copied[1])

missing = [p.relative_to(root).as_posix() for p in sorted(wanted) if not p.exists() or not is_in(p)]
for name in missing:
    print(f"{name} is read by the build and not in its context")
# The linter does not look behind variables.
for image in re.findall(r"^ARG (?:BUILDER|RUNTIME)=(\S+)$", (root / "deploy/container/Containerfile").read_text(), re.M):
    if ":" not in image.split("/")[-1] or image.endswith(":latest"):
        print(f"{image} is not pinned")
        missing.append(image)
size = sum(f.stat().st_size for f in root.rglob("*") if f.is_file() and ".git" not in f.parts and is_in(f))
print(f"{len(wanted)} files wanted, {len(missing)} missing; the context has {size / 1e6:.1f} MB")
sys.exit(bool(missing) or size > 50e6)
