"""System calls that the program makes, against the filter of the unit.

    syscalls.py UNIT CALLS       CALLS: names, one a line
"""

import pathlib
import re
import subprocess
import sys

listed = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout
groups, name = {}, None
for line in re.sub(r"\x1b\[[0-9;]*m", "", listed).splitlines():
    if line.startswith("@"):
        name = line.strip()
        groups[name] = set()
    elif name and line.startswith("    ") and not line.strip().startswith("#"):
        groups[name].add(line.strip())


def calls(word):
    return set().union(*(calls(w) for w in groups[word])) if word.startswith("@") else {word}


allowed = set()
for filtered in re.findall(r"^SystemCallFilter=(.*)$", pathlib.Path(sys.argv[1]).read_text(), re.M):
    named = set().union(*(calls(word) for word in filtered.removeprefix("~").split()))
    allowed = allowed - named if filtered.startswith("~") else allowed | named
# Always allowed by the manager, so that a program can be started and end.
allowed |= calls("@default") | {"execve", "exit", "exit_group"}
made = set(pathlib.Path(sys.argv[2]).read_text().split())
refused = sorted(made - allowed)
print(f"{len(made)} system calls made, {len(allowed)} allowed; refused: {' '.join(refused) or 'none'}")
sys.exit(bool(refused) or len(made) < 20)
