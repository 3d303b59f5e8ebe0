"""Compares the catalogue's releases with SAELens' registry, and the table of Gemma Scope's canonical SAEs.

Run by hand from the repository root, with the registry as a table (one row an SAE, as `pretrained_saes.yaml` of sae-lens
6.54.12 has it; columns `release`, `repo_id`, `path`, `neuronpedia_id`, `expected_l0`, `expected_var_explained`):

    python assets/check_catalogue.py registry.tsv

It prints each SAE of the catalogue that the registry does not have, or has with another Neuronpedia id or other figures,
and exits with 1 when there is one that is not in `KNOWN`.
"""

import csv
import math
import sys
import tomllib
from pathlib import Path

# What the registry lacks or has otherwise, and why the catalogue is right.
KNOWN = {
    # Not in the registry: EleutherAI publishes them as a repository of `sparsify`.
    ("EleutherAI/sae-pythia-70m-deduped-32k", None): "not in the registry",
}


def layers(release):
    given = release["layers"]
    if isinstance(given, str):
        first, last = map(int, given.split("..="))
        return list(range(first, last + 1))
    return given


def fill(value, layer, index):
    """The value of a release for one layer, as `src/suite/release.rs` has it; None where there is none."""
    if isinstance(value, list):
        return fill(value[index], layer, index)
    if isinstance(value, str):
        return value.replace("{layer}", str(layer)) or None
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def catalogue():
    for file in sorted(Path("assets/catalogue").glob("*.toml")):
        for release in tomllib.loads(file.read_text())["release"]:
            for index, layer in enumerate(layers(release)):
                for sae in release["sae"]:
                    flat = {key: fill(value, layer, index) for key, value in sae.items() if key not in ("expect", "unverified")}
                    expect = {key: fill(value, layer, index) for key, value in sae.get("expect", {}).items()}
                    yield fill(release["id"], layer, index), flat, expect


def number(text):
    return float(text) if text else None


def main():
    registry = {}
    with open(sys.argv[1], newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            registry.setdefault((row["repo_id"], row["path"]), []).append(row)
    wrong = seen = 0
    for suite, sae, expect in catalogue():
        seen += 1
        repo, path = sae["repo"], sae.get("folder") or sae.get("file")
        rows = registry.get((repo, path), [])
        said = f"{suite} {sae['id']}: {repo} {path}"
        if not rows:
            known = (repo, None) in KNOWN
            wrong += not known
            print(f"{said}: {'known: ' + KNOWN[(repo, None)] if known else 'the registry does not have it'}")
            continue
        ids = {row["neuronpedia_id"] for row in rows if row["neuronpedia_id"]}
        if sae.get("neuronpedia") and ids and sae["neuronpedia"] not in ids:
            wrong += 1
            print(f"{said}: Neuronpedia id {sae['neuronpedia']}, the registry has {sorted(ids)}")
        for key, column in [("l0", "expected_l0"), ("explained_variance", "expected_var_explained")]:
            figures = {number(row[column]) for row in rows} - {None}
            if expect.get(key) is not None and figures and all(abs(expect[key] - figure) > 1e-9 for figure in figures):
                wrong += 1
                print(f"{said}: {key} {expect[key]}, the registry has {sorted(figures)}")
    canonical = {tuple(line.split()) for line in Path("assets/gemma_scope_canonical.txt").read_text().splitlines()[1:]}
    theirs = {
        (repo, *path.split("/")) for (repo, path), rows in registry.items()
        if any(row["release"].startswith("gemma-scope-") and row["release"].endswith("-canonical") for row in rows)
    }
    for entry in sorted(canonical ^ theirs):
        wrong += 1
        print(f"canonical: {' '.join(entry)} is only in {'the catalogue' if entry in canonical else 'the registry'}")
    print(f"{seen} SAEs compared, {len(canonical)} canonical folders, {wrong} differ")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
