#!/usr/bin/env python3
"""Checks the packages that a build with the default features links on this platform: licences, origins, versions, downloads.

Reads `cargo tree`; compiles nothing. `cargo metadata` would not do: it also lists packages whose features are switched off.
"""

import re
import subprocess
import sys
from collections import defaultdict

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0",
    "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip
# Packages under other licences, each with the reason why it may be used.
EXCEPTIONS = {"colored": "MPL-2.0 binds changes to its own files only, and we change none; comes with burn"}
# Their build scripts fetch binaries, so that a build without that network, or after a change over there, breaks.
DOWNLOADERS = {"ort-sys", "torch-sys", "tracel-llvm-bundler", "utoipa-swagger-ui", "xgboost_lib-sys"}


def satisfied(expression):
    """Whether allowed licences alone meet an SPDX expression (or Cargo's old `A/B`): OR needs one side, AND both."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0) if tokens else ""
        if token == "(":
            met = either()
            tokens.pop(0)
            return met
        if tokens and tokens[0] == "WITH":
            token = f"{token} WITH {tokens[1]}"
            del tokens[:2]
        return token in ALLOWED

    return either() and not tokens


def packages():
    """(name, version, origin in brackets if not crates.io, licence) of every package."""
    command = ["cargo", "tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"]
    lines = {line for line in subprocess.check_output(command, text=True).splitlines() if line}
    for line in sorted(lines):
        package, licence = line.rsplit("|", 1)
        name, version, *origin = package.split(" ", 2)
        origin = " ".join(origin).replace("(proc-macro)", "").strip()
        yield name, version, origin, licence


def main():
    root = subprocess.check_output(["git", "rev-parse", "--show-toplevel"], text=True).strip()
    problems, versions = [], defaultdict(set)
    for name, version, origin, licence in packages():
        versions[name].add(version)
        if name not in EXCEPTIONS and not satisfied(licence):
            problems.append(f"{name} {version}: licence {licence or 'not given'}; allow it in .ci/dependencies.py or do without the package")
        if origin and not origin.startswith(f"({root}"):
            problems.append(f"{name} {version}: comes from {origin}, not from crates.io")
        if name in DOWNLOADERS:
            problems.append(f"{name} {version}: its build script downloads; switch off the feature that asks for it")
    doubled = {name: " and ".join(sorted(seen)) for name, seen in versions.items() if len(seen) > 1}
    for name in doubled:
        if name == "burn" or name.startswith("burn-"):
            problems.append(f"{name}: {doubled[name]}; all burn crates must have one version")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(versions)} packages; in two versions: {', '.join(f'{n} ({v})' for n, v in sorted(doubled.items())) or 'none'}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
