#!/usr/bin/env python3
"""Check records against the JSON Schemas in schemas/, and the schemas themselves.

    scripts/validate_schemas.py alert alerts.ndjson ...     one record a line; `-` is standard input
    scripts/validate_schemas.py config config/bench.toml    .toml files are one record
    scripts/validate_schemas.py --self                      the schemas alone

Names: alert, state, heartbeat, dead_letter, input, config. Like the decoder, a repeated
field, NaN and infinity are refused. `--self` checks every schema against its
metaschema, that each property has a description, that state is alert under
another name, and that the defaults of config are those of config/fragility.toml.

Prints the count and the first problems; exits 1 on any, 2 when it cannot run.
Needs jsonschema and Python 3.11 or newer.
"""

import argparse
import importlib.metadata
import json
import sys
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, best_match

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("alert", "state", "heartbeat", "dead_letter", "input", "config")
SHOWN = 10


def load(name):
    return json.loads((ROOT / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def validator(name):
    schema = load(name)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker(["date", "uuid"]))


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def once(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice")
    return fields


def read_json(text):
    return json.loads(text, object_pairs_hook=once, parse_constant=refuse)


def records(path):
    """Pairs of place and record; the record is an exception where it cannot be read."""
    if path.endswith(".toml"):
        with open(path, "rb") as file:
            # Through JSON, so that what JSON does not have (dates, NaN) is refused.
            yield path, attempt(lambda: read_json(json.dumps(tomllib.load(file))))
        return
    file = sys.stdin if path == "-" else open(path, encoding="utf-8")
    with file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{path}:{number}", attempt(lambda: read_json(line))


def attempt(read):
    try:
        return read()
    except (ValueError, TypeError) as error:
        return error


def problem(check, record):
    """The first problem of a record, or None."""
    if isinstance(record, Exception):
        return str(record)
    error = best_match(check.iter_errors(record))
    if error is None:
        return None
    where = ".".join(str(p) for p in error.absolute_path) or "record"
    return f"{where}: {error.message[:200]}"


def validate(name, paths):
    check, count, bad = validator(name), 0, 0
    for path in paths:
        for place, record in records(path):
            count += 1
            found = problem(check, record)
            if found:
                bad += 1
                if bad <= SHOWN:
                    print(f"{place}: {found}")
    print(f"{name}: {count} records, {bad} invalid")
    return bad == 0


def undescribed(node, path=""):
    """Paths of properties without a description, conditions and narrowings aside."""
    if not isinstance(node, dict):
        return
    for key, child in node.get("properties", {}).items():
        if isinstance(child, dict):
            if "description" not in child and "$ref" not in child:
                yield f"{path}.{key}"
            yield from undescribed(child, f"{path}.{key}")
    for key in ("items", "additionalProperties"):
        yield from undescribed(node.get(key), f"{path}[]")
    for key, child in node.get("$defs", {}).items():
        yield from undescribed(child, f"{path}#{key}")


def defaults(node, path=()):
    if "default" in node:
        yield path, node["default"]
    for key, child in node.get("properties", {}).items():
        yield from defaults(child, (*path, key))


def leaves(node, path=()):
    for key, child in node.items():
        if isinstance(child, dict) and child:
            yield from leaves(child, (*path, key))
        else:
            yield (*path, key), child


def check_self():
    problems = []
    for name in NAMES:
        try:
            validator(name)
        except SchemaError as error:
            problems.append(f"{name}: {error.message}")
        schema = load(name)
        problems += [f"{name}: no {key}" for key in ("$schema", "$id", "title", "description") if key not in schema]
        problems += [f"{name}: {path} has no description" for path in undescribed(schema)]
    alert, state = load("alert"), load("state")
    for schema in (alert, state):
        for key in ("$id", "title", "description"):
            schema.pop(key)
        schema["properties"].pop("schema")
    if alert != state:
        problems.append("state: is not alert under another name")
    shipped = tomllib.loads((ROOT / "config" / "fragility.toml").read_text(encoding="utf-8"))
    named = {}
    for path, value in defaults(load("config")):
        named.update(leaves({path[-1]: value}, path[:-1]))
    wanted = dict(leaves(shipped))
    for path in sorted(set(named) | set(wanted)):
        if named.get(path) != wanted.get(path):
            problems.append(f"config: {'.'.join(path)} is {named.get(path)!r}, shipped as {wanted.get(path)!r}")
    for text in problems:
        print(text)
    print(f"schemas: {len(NAMES)} checked, {len(problems)} problems")
    return not problems


def main():
    parser = argparse.ArgumentParser(description="Check records against the schemas in schemas/.")
    parser.add_argument("--version", action="version", version=f"jsonschema {importlib.metadata.version('jsonschema')}")
    parser.add_argument("--self", action="store_true", help="check the schemas themselves")
    parser.add_argument("name", nargs="?", choices=NAMES)
    parser.add_argument("files", nargs="*", metavar="FILE")
    args = parser.parse_args()
    if not args.self and not (args.name and args.files):
        parser.error("needs a schema and files, or --self")
    print(f"jsonschema {importlib.metadata.version('jsonschema')}", file=sys.stderr)
    good = check_self() if args.self else True
    if args.name and args.files:
        good = validate(args.name, args.files) and good
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
