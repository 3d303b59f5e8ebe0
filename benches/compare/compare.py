#!/usr/bin/env python3
"""Measures saescope against the libraries that do the same, one after the other on the same files, and prints a table.
Not here: the work itself (`worker.rs`, `peers.py`), and what is read (`weights.py`).

    python3 benches/compare/compare.py [--only ROW ...] [--data FOLDER] [--python PATH] [--threads N] [--write]

It makes a Python environment with the versions of `requirements.txt` and random weights of GPT-2 small and of eight
SAEs once, in FOLDER (some 4 GB), builds this program, and takes each row's sides in turn, A B A B. No time counts before
the two agree to 1e-4 of the largest value. `--write` keeps the table in `benches/RESULTS.md`.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "saescope-compare"
TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="ROW", help="only this row (repeatable)")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--data", type=Path, default=CACHE, help="where weights and environment are kept")
    parser.add_argument("--python", type=Path, help="an interpreter that has the libraries already")
    parser.add_argument("--tokenizer", type=Path, help="a folder with GPT-2's tokenizer; downloaded otherwise")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of either side")
    parser.add_argument("--repeats", type=int, help="runs of each side, instead of the row's own number")
    parser.add_argument(
        "--processor", action="store_true", help="count processor time, for a busy machine (Linux; with --threads 1)"
    )
    parser.add_argument("--write", action="store_true", help="keep the table in benches/RESULTS.md")
    options = parser.parse_args()

    from rows import ROWS

    if options.list:
        print("\n".join(f"{name:10} {row.work}" for name, row in ROWS.items()))
        return
    unknown = [name for name in options.only or [] if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    bench = Bench(options)
    lines = []
    for name in options.only or ROWS:
        print(f"{name} …", file=sys.stderr, flush=True)
        started = time.perf_counter()
        results = ROWS[name].measure(bench)
        bench.end()
        lines += [(name, ROWS[name], result) for result in results]
        print(f"  {time.perf_counter() - started:.0f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    table = render(lines)
    print(table)
    if options.write:
        write(table, options)


def render(lines) -> str:
    out = ["| row | work | this program | against | | ratio | wanted |", "|---|---|---|---|---|---|---|"]
    for name, row, result in lines:
        held = {True: "", False: " ✗", None: ""}[result.holds]
        cells = [name, result.work or row.work, result.ours, result.against, result.theirs]
        out.append("| " + " | ".join([*cells, f"{result.ratio}{held}", result.wanted]) + " |")
    return "\n".join(out)


def write(table: str, options) -> None:
    """Replaces what stands between the two marks: what is written by hand stays."""
    path = HERE.parent / "RESULTS.md"
    text = path.read_text() if path.exists() else "<!-- measured -->\n<!-- end -->\n"
    before, rest = text.split("<!-- measured -->", 1)
    _, after = rest.split("<!-- end -->", 1)
    measured = f"\n{datetime.date.today()}, {machine()}, {options.threads} threads, load {os.getloadavg()[0]:.1f}.\n\n"
    path.write_text(f"{before}<!-- measured -->{measured}{table}\n\n<!-- end -->{after}")


def machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        flags = next(line for line in lines if line.startswith("flags")).split()
        model += ", AVX-512" if "avx512f" in flags else ", AVX2" if "avx2" in flags else ""
        memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 20
        model += f", {memory} GB"
    except (OSError, StopIteration):
        pass
    return f"{model}, {platform.system()}"


class Bench:
    """What rows measure with: both sides' processes, and the files they read."""

    def __init__(self, options):
        self.options = options
        self.data = options.data.resolve()
        self.data.mkdir(parents=True, exist_ok=True)
        self.python = options.python or environment(self.data)
        made = [self.python, HERE / "weights.py", self.data]
        subprocess.run([*made, options.tokenizer] if options.tokenizer else made, check=True, env=self.env())
        self.prompts = json.loads((self.data / "prompts.json").read_text())
        self.program, self.worker = build()
        self.sides = {}

    def env(self) -> dict:
        threads = str(self.options.threads)
        own = {"HF_HOME": str(self.data), "HF_HUB_CACHE": str(self.data / "hub"), "XDG_CACHE_HOME": str(self.data)}
        own |= {name: threads for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        if (self.data / "done").exists():
            own["HF_HUB_OFFLINE"] = "1"
        return {**os.environ, **own}

    def scratch(self, name: str) -> str:
        folder = self.data / "scratch"
        folder.mkdir(exist_ok=True)
        return str(folder / name)

    def side(self, name: str):
        """The process of a side, started when first asked; `ours` is this program's."""
        if name not in self.sides:
            command = [self.worker, self.data]
            if name != "ours":
                command = [self.python, HERE / "peers.py", self.data, self.options.threads, name]
            self.sides[name] = Side([str(part) for part in command], self.env(), self.options)
        return self.sides[name]

    def end(self) -> None:
        for side in self.sides.values():
            side.end()
        self.sides.clear()
        for file in (self.data / "scratch").glob("*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()

    def in_turn(self, repeats: int, *works) -> list:
        """The median of each, taken A B A B …; the first round warms up and does not count."""
        repeats = self.options.repeats or repeats
        times = [[work() for work in works] for _ in range(repeats + 1)][1:]
        return [statistics.median(column) for column in zip(*times)]


class Side:
    """A process that does one piece of work for each line."""

    def __init__(self, command: list, env: dict, options: argparse.Namespace):
        self.processor = options.processor
        # What the libraries warn of is kept beside the weights, out of the way of the table.
        self.errors = open(options.data / "errors.log", "a")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        self.process = subprocess.Popen(command, text=True, env=env, **pipes)

    def used(self) -> float:
        """Processor time of all threads so far, in milliseconds."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6

    def do(self, what: str, **with_these) -> dict:
        before = self.used() if self.processor else 0.0
        self.process.stdin.write(json.dumps({"do": what, **with_these}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"`{what}` failed: {' '.join(self.process.args[:3])}; see {self.errors.name}")
        told = json.loads(answer)
        if self.processor and "ms" in told:
            told["ms"] = self.used() - before
        return told

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()


def environment(data: Path) -> Path:
    """The interpreter of an environment with the libraries."""
    folder = data / "venv"
    python = folder / "bin" / "python"
    done = folder / "done"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        done.touch()
    return python


def build() -> tuple:
    """The program and its worker, both as they are released."""
    command = ["cargo", "build", "--release", "--bin", "saescope", "--bench", "compare", "--message-format=json"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in told.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            found[message["target"]["name"]] = message["executable"]
    return found["saescope"], found["compare"]


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
