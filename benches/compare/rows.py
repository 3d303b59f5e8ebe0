"""The rows of the table: which work, against whom, how often, what must agree, and the ratio that is wanted.
Not here: processes and files (`compare.py`).
"""

import json
import os
import struct
import subprocess
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

WIDTHS = [768 << step for step in range(8)]
TOLERANCE = 1e-4
IDS = [(7919 * place) % 50_000 for place in range(512)]


@dataclass
class Result:
    """One line of the table."""

    ours: str
    against: str
    theirs: str
    ratio: str
    wanted: str
    holds: bool | None
    work: str | None = None


@dataclass
class Row:
    work: str
    measure: Callable


def agree(what: str, ours, theirs) -> None:
    """Stops where two lists of numbers differ by more than 1e-4 of the largest."""
    if len(ours) != len(theirs):
        raise SystemExit(f"{what}: {len(ours)} values against {len(theirs)}")
    largest = max((abs(value) for value in theirs), default=0.0)
    worst = max((abs(a - b) for a, b in zip(ours, theirs)), default=0.0)
    if not worst <= TOLERANCE * largest:
        raise SystemExit(f"{what}: the two differ by {worst:g}, and the largest value is {largest:g}")


def agree_files(what: str, ours: str, theirs: str) -> None:
    values = []
    for path in (ours, theirs):
        numbers = array("f")
        numbers.frombytes(Path(path).read_bytes())
        values.append(numbers)
    agree(what, *values)


def agree_latents(ours, theirs) -> None:
    """Activations of the strongest latents, position by position; equal ones may be in another order."""
    for sae, (one, other) in enumerate(zip(ours, theirs)):
        for position, (one, other) in enumerate(zip(one, other)):
            what = f"SAE {WIDTHS[sae]}, position {position}"
            other = [pair for pair in other if pair[1] != 0.0]
            agree(what, [value for _, value in one], [value for _, value in other])
            lowest = min((value for _, value in other), default=0.0)
            clear = lambda pairs: {latent for latent, value in pairs if value > lowest * (1 + TOLERANCE)}
            if len(other) < 20:
                clear = lambda pairs: {latent for latent, value in pairs}
            if clear(one) - {latent for latent, _ in other} or clear(other) - {latent for latent, _ in one}:
                raise SystemExit(f"{what}: other latents fire")


def times(ours: float, theirs: float, wanted: float, against: str, work: str | None = None) -> Result:
    """How many times faster, in milliseconds."""
    ratio = theirs / ours
    return Result(
        duration(ours), against, duration(theirs), f"{ratio:.2f}×", f"≥ {wanted:g}×", ratio >= wanted, work
    )


def floor(ours: float, least: float, wanted: float, against: str, work: str | None = None) -> Result:
    """How many times the floor."""
    ratio = ours / least
    return Result(
        duration(ours), against, duration(least), f"{ratio:.2f}×", f"≤ {wanted:g}×", ratio <= wanted, work
    )


def duration(ms: float) -> str:
    return f"{ms / 1e3:.2f} s" if ms >= 1e3 else f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms"


def tensor_bytes(path: Path, names=None) -> list:
    """[path, start, end] of these tensors in a safetensors file, or of all."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    offsets = [entry["data_offsets"] for name, entry in header.items() if names is None or name in names]
    return [[str(path), 8 + size + start, 8 + size + end] for start, end in offsets]


def sae_file(bench, width: int) -> Path:
    return bench.data / "saes" / str(width) / "sae_weights.safetensors"


def start(bench) -> list:
    prompt = bench.prompts["a"]
    suite = str(bench.data / "suite.toml")
    ours = [bench.program, "run", "--suite", suite, "--prompt", prompt, "--top", "20", "--logits", "0", "--json"]
    theirs = [bench.python, Path(__file__).parent / "first_latents.py", bench.data, bench.options.threads, prompt]

    def run(command):
        begin = time.perf_counter()
        told = subprocess.run([str(part) for part in command], env=bench.env(), capture_output=True, text=True)
        took = (time.perf_counter() - begin) * 1e3
        if told.returncode:
            raise SystemExit(told.stderr)
        return took, json.loads(told.stdout)

    found = run(ours)[1]["saes"]
    found = [[[(f["latent"], f["activation"]) for f in at["latents"]] for at in sae["positions"]] for sae in found]
    agree_latents(found, run(theirs)[1])
    ours, theirs = bench.in_turn(3, lambda: run(ours)[0], lambda: run(theirs)[0])
    return [times(ours, theirs, 10, "transformer_lens + sae_lens")]


def question(bench) -> list:
    ours = bench.side("ours")
    ours.do("open")
    peers = [bench.side("transformer_lens"), bench.side("transformers")]
    for prompt in ("a", "b"):
        found = ours.do("question", prompt=bench.prompts[prompt], told=True)
        for peer in peers:
            other = peer.do("question", prompt=bench.prompts[prompt], told=True)
            agree_latents(found["latents"], other["latents"])
            for one, two in zip(found["next"], other["next"]):
                agree("next tokens", [value for _, value in one], [value for _, value in two])
    turn = [0]

    def work(side):
        def run():
            # A prompt of which nothing is left of the last time.
            turn[0] += 1
            prompt = "ab"[turn[0] // 3 % 2]
            return side.do("question", prompt=bench.prompts[prompt], told=False)["ms"]

        return run

    took, *others = bench.in_turn(9, work(ours), *map(work, peers))
    against = ["transformer_lens + sae_lens", "transformers + sae_lens"]
    return [times(took, other, wanted, name) for other, wanted, name in zip(others, (3, 1.6), against)]


def typed(bench) -> list:
    ours, peer = bench.side("ours"), bench.side("transformers")
    ours.do("open")
    found = ours.do("question", prompt=bench.prompts["a+"], told=True)
    other = peer.do("question", prompt=bench.prompts["a+"], told=True)
    agree_latents(found["latents"], other["latents"])
    model = [
        part
        for part in tensor_bytes(bench.data / "model" / "model.safetensors")
        # The embedding of the positions is looked up, not read.
        if part[2] - part[1] != 4 * 1024 * 768
    ]
    encoders = [part for width in WIDTHS for part in tensor_bytes(sae_file(bench, width), ["W_enc"])]

    def one_more():
        ours.do("question", prompt=bench.prompts["a"], told=False)
        return ours.do("question", prompt=bench.prompts["a+"], told=False)["ms"]

    took, least = bench.in_turn(9, one_more, lambda: ours.do("read", parts=model + encoders)["ms"])
    return [floor(took, least, 1.5, "reading model and encoders")]


def beside(bench) -> list:
    """The same typed token while a text is read into an index beside it."""
    ours = bench.side("ours")
    ours.do("open")
    # Longer than all of the row.
    long = Path(bench.scratch("long.txt"))
    long.write_text("<|endoftext|>".join([(bench.data / "corpus.txt").read_text()] * 50))

    def typed(text):
        def work():
            ours.do("beside", text=text)
            ours.do("question", prompt=bench.prompts["a"], told=False)
            # The reading is under way again when the next letter comes.
            time.sleep(0.5)
            took = ours.do("question", prompt=bench.prompts["a+"], told=False)["ms"]
            ours.do("beside", text=None)
            return took

        return work

    took, idle = bench.in_turn(9, typed(str(long)), typed(None))
    return [floor(took, idle, 1.1, "the same while nothing is read")]


def index(bench) -> list:
    """A text into an index: counts and largest of every latent agree first."""
    ours, peer = bench.side("ours"), bench.side("transformers")
    text, out = str(bench.data / "corpus.txt"), bench.scratch("index")
    windows = peer.do("windows", text=text)["windows"]
    tokens = sum(len(window) for window in windows)
    lines = []
    for saes, repeats in ((["24576"], 3), ([str(width) for width in WIDTHS], 1)):
        ours.do("open", saes=saes)
        found = ours.do("index", saes=saes, text=text, out=out, told=True)
        other = peer.do("index", saes=saes, windows=windows, batch=8, told=True)
        for sae, figures in zip(found["saes"], other["figures"]):
            agree(f"SAE {sae['id']}: largest", [most for _, most in sae["figures"]], [most for _, most in figures])
            # An activation next to 0 fires on one side alone.
            apart = sum(abs(a - b) for (a, _), (b, _) in zip(sae["figures"], figures))
            if apart > 1e-4 * sum(count for count, _ in figures):
                raise SystemExit(f"SAE {sae['id']}: {apart} counts differ")

        def batch(size):
            return lambda: peer.do("index", saes=saes, windows=windows, batch=size, told=False)["ms"]

        took, bare, *others = bench.in_turn(
            repeats,
            lambda: ours.do("index", saes=saes, text=text, out=out, told=False)["ms"],
            lambda: ours.do("unindexed", saes=saes, windows=windows)["ms"],
            *map(batch, (1, 8, 32)),
        )
        rate = lambda ms: f"{tokens / ms * 1e3:,.0f} tokens/s"
        what = "24,576 latents" if len(saes) == 1 else "the ladder"
        l0 = found["saes"][-1]["l0"]
        work = f"{tokens:,} tokens into an index, {what}, L0 {l0:.0f}"
        for against, theirs, wanted in (
            ("transformers + sae_lens + topk", min(others), 3.0),
            ("forward and encode alone", bare, 0.85),
        ):
            ratio = theirs / took
            cells = f"{ratio:.2f}×", f"≥ {wanted:g}×", ratio >= wanted, work
            lines.append(Result(rate(took), against, rate(theirs), *cells))
    told = ours.do("examples", sae="98304", index=out, latents=[(7919 * place) % 98_304 for place in range(1, 200)])
    ours_text = f"{duration(told['ms'])}, at most {duration(told['most'])}"
    work = "a latent's examples and figures out of an index of 196,000 latents"
    lines.append(Result(ours_text, "", "", "", "< 20 ms", told["most"] < 20, work))
    for width in ("6144", "24576", "98304"):
        ours.do("open", saes=[width])
        before = ours.do("memory")["own"]
        ours.do("index", saes=[width], text=text, out=out, told=False)
        held = ours.do("memory")["own"] - before
        each = f"{held / int(width):,.0f} bytes per latent"
        lines.append(Result(f"{held / 1e6:,.0f} MB", "", "", each, "", None, f"memory of an index, {int(width):,} latents"))
    return lines


def effect(bench) -> list:
    """Every latent of a token taken out in turn, against one run for each from the layer on, and against one pass."""
    ours, peer = bench.side("ours"), bench.side("transformer_lens")
    ours.do("open", saes=["24576"])
    asked = {"prompt": bench.prompts["a"], "sae": "24576"}
    found = ours.do("effect", **asked, told=True)
    other = peer.do("effect", **asked, token=found["token"], told=True)["latents"]
    if [latent for latent, *_ in found["latents"]] != [latent for latent, *_ in other]:
        raise SystemExit("effects: other latents fire")
    agree("activations", [of[1] for of in found["latents"]], [of[1] for of in other])
    # Changes are small beside the log-probabilities that they are between, which the other side has in f32.
    ablated = [found["logprob"] - of[2] for of in found["latents"]]
    agree("log-probabilities without each latent", ablated, [of[2] for of in other])
    took, theirs, least = bench.in_turn(
        7,
        lambda: ours.do("effect", **asked, told=False)["ms"],
        lambda: peer.do("effect", **asked, token=found["token"], told=False)["ms"],
        lambda: ours.do("rest", rows=found["rows"])["ms"],
    )
    work = f"what each of {len(other)} latents at the last of 32 tokens does to the next one, 24,576 latents"
    one = f"{found['rows']} rows through the blocks behind the site and the head"
    return [times(took, theirs, 25, "transformer_lens, one run for each", work), floor(took, least, 2, one, work)]


def logits(bench) -> list:
    ours, peer = bench.side("ours"), bench.side("transformers")
    lines = []
    for count, repeats in ((128, 7), (512, 5)):
        files = bench.scratch("ours"), bench.scratch("theirs")
        ours.do("logits", ids=IDS[:count], save=files[0])
        peer.do("logits", ids=IDS[:count], save=files[1])
        agree_files("logits", *files)
        work = lambda side: lambda: side.do("logits", ids=IDS[:count], save=None)["ms"]
        took, other = bench.in_turn(repeats, work(ours), work(peer))
        lines.append(times(took, other, 1, "transformers", f"{count} tokens to logits"))
    return lines


def generate(bench) -> list:
    ours, peer = bench.side("ours"), bench.side("transformers")
    work = lambda side: side.do("generate", ids=IDS[:32], tokens=32)
    one, other = work(ours)["ids"], work(peer)["ids"]
    if one != other:
        raise SystemExit(f"generation: {one} against {other}")
    took, theirs = bench.in_turn(5, lambda: work(ours)["ms"], lambda: work(peer)["ms"])
    return [times(took, theirs, 1.3, "transformers")]


def arms(bench) -> list:
    """Three arms beside each other (with reading and judging their texts) against one, and against transformers' one."""
    ours, peer = bench.side("ours"), bench.side("transformers")
    work = lambda count: ours.do("arms", ids=IDS[:32], tokens=64, arms=count)
    theirs = lambda: peer.do("generate", ids=IDS[:32], tokens=64)
    one, three, other = work(1)["ids"], work(3)["ids"], theirs()["ids"]
    if not one == three == other:
        raise SystemExit(f"steering: {one}, {three} against {other}")
    took, single, peers = bench.in_turn(
        5, lambda: work(3)["ms"], lambda: work(1)["ms"], lambda: theirs()["ms"]
    )
    return [floor(took, single, 1.35, "one arm"), times(took, peers, 1, "transformers, one text")]


def nearest(bench) -> list:
    ours, peer = bench.side("ours"), bench.side("numpy")
    asked = {"sae": 98_304, "latent": 4711, "k": 10}
    one, other = (side.do("nearest", **asked)["near"] for side in (ours, peer))
    agree("cosines", [value for _, value in one], [value for _, value in other])
    rows = tensor_bytes(sae_file(bench, 98_304), ["W_dec"])
    work = lambda side: lambda: side.do("nearest", **asked)["ms"]
    took, least, other = bench.in_turn(15, work(ours), lambda: ours.do("read", parts=rows)["ms"], work(peer))
    result = floor(took, least, 1.5, f"reading the matrix (NumPy: {duration(other)})")
    return [result]


def pairs(bench) -> list:
    ours, peer = bench.side("ours"), bench.side("faiss")
    asked = {"queries": 12_288, "rows": 24_576, "k": 5}
    files = bench.scratch("ours"), bench.scratch("theirs")
    ours.do("pairs", **asked, save=files[0])
    peer.do("pairs", **asked, save=files[1])
    agree_files("cosines", *files)
    work = lambda side: lambda: side.do("pairs", **asked, save=None)["ms"]
    took, other = bench.in_turn(3, work(ours), work(peer))
    return [times(took, other, 1.25, "faiss")]


def tables(bench) -> list:
    ours, torch = bench.side("ours"), bench.side("torch")
    peaks = []

    def peak():
        took = min(torch.do("product", size=4096)["ms"] for _ in range(3))
        peaks.append(2 * 4096**3 / took / 1e6)

    most = int(os.environ.get("SAESCOPE_TABLES_MOST", WIDTHS[-1]))
    ours.do("tables", most=WIDTHS[2], k=5)
    peak()
    told = ours.do("tables", most=most, k=5)
    peak()
    rate, best = told["flop"] / told["ms"] / 1e6, max(peaks)
    share = rate / best
    return [
        Result(
            f"{duration(told['ms'])}, {rate:.0f} GFLOP/s",
            "torch's matrix product",
            f"{best:.0f} GFLOP/s",
            f"{share:.0%}",
            "≥ 80%",
            share >= 0.8,
            f"nearest tables of the ladder to {most}, {told['flop'] / 1e12:.1f} TFLOP",
        )
    ]


def scores(bench) -> list:
    ours, peer = bench.side("ours"), bench.side("numpy")
    small, large, tokens = 49_152, 98_304, 10_000
    codes = [bench.scratch("small"), bench.scratch("large")]
    for sae, path in zip((small, large), codes):
        ours.do("codes", sae=sae, tokens=tokens, save=path)
    files = bench.scratch("ours"), bench.scratch("theirs")
    asked = {"small": small, "large": large, "tokens": tokens}
    told = ours.do("scores", **asked, save=files[0])
    peer.do("scores", **asked, codes=codes, save=files[1])
    agree_files("scores", *files)
    took, other = bench.in_turn(
        3,
        lambda: ours.do("scores", **asked, save=None)["ms"],
        lambda: peer.do("scores", **asked, codes=codes, save=None)["ms"],
    )
    work = f"insertion scores of 98,304 latents on 10,000 tokens ({told['active']:,} active pairs)"
    result = times(took, other, 5, "NumPy", work)
    result.wanted += ", < 2 s"
    result.holds = result.holds and took < 2e3
    return [result]


def train(bench) -> list:
    ours, peer = bench.side("ours"), bench.side("torch")
    first = bench.scratch("first")
    # All rows in one batch, so that the order of the rows says nothing.
    check = {"sae": 12_288, "width": 2304, "k": 4, "batch": 12_288, "steps": 3, "first": first}
    explained = [side.do("train", **check)["explained"] for side in (ours, peer)]
    agree("explained variance after three steps", explained[:1], explained[1:])
    size = {"sae": 49_152, "width": 2304, "k": 4, "batch": 16_384, "first": None}
    took, other = bench.in_turn(
        1,
        lambda: ours.do("train", **size, steps=20)["ms"],
        lambda: peer.do("train", **size, steps=4)["ms"],
    )
    result = times(took, other, 5, "torch, dense, fused Adam")
    result.wanted += ", 2,000 steps in 15 min"
    result.ratio += f", {took * 2000 / 60e3:.1f} min"
    result.holds = result.holds and took * 2000 <= 15 * 60e3
    return [result]


def memory(bench) -> list:
    ours = bench.side("ours")
    ours.do("open")
    for prompt in ("a", "b", "a+"):
        ours.do("question", prompt=bench.prompts[prompt], told=False)
    time.sleep(1)
    held = ours.do("memory")
    files = [bench.data / "model" / "model.safetensors", *(sae_file(bench, width) for width in WIDTHS)]
    size = sum(file.stat().st_size for file in files)
    ratio = held["resident"] / size
    mega = lambda count: f"{count / 1e6:,.0f} MB"
    ours_text = f"{mega(held['resident'])}, {mega(held['own'])} of it its own"
    return [Result(ours_text, "the files", mega(size), f"{ratio:.2f}×", "≤ 1.3×", ratio <= 1.3)]


def growth(bench) -> list:
    """Not against anybody: how cost grows."""
    ours = bench.side("ours")
    lines = []
    for sae, tokens in [(24_576, 32), (24_576, 128), (24_576, 512), (6_144, 512), (98_304, 512)]:
        took = bench.in_turn(3, lambda: ours.do("encode", sae=sae, tokens=tokens)["ms"])[0]
        each = took * 1e6 / (sae * tokens)
        lines.append(grown(f"encode {tokens} tokens, {sae:,} latents", took, f"{each:.2f} ns per token and latent"))
    for most in (3_072, 6_144, 12_288):
        told = ours.do("tables", most=most, k=5)
        each = told["bytes"] / most
        rate = told["ms"] * 1e9 / told["flop"]
        text = f"{each:.0f} bytes per latent, {rate:.1f} µs per MFLOP"
        lines.append(grown(f"tables of the ladder to {most:,}", told["ms"], text))
    for tokens in (1_000, 3_000, 10_000):
        asked = {"small": 12_288, "large": 24_576, "tokens": tokens, "save": None}
        active = ours.do("scores", **asked)["active"]
        took = bench.in_turn(3, lambda: ours.do("scores", **asked)["ms"])[0]
        lines.append(grown(f"scores on {tokens:,} tokens", took, f"{took * 1e6 / active:.0f} ns per active pair"))
    return lines


def grown(work: str, took: float, each: str) -> Result:
    return Result(duration(took), "", "", each, "", None, work)


ROWS = {
    "start": Row("process start to first latents, GPT-2 and eight SAEs in the page cache", start),
    "question": Row("32 tokens to logits and the top 20 of eight SAEs, warm", question),
    "typed": Row("one more typed token, the same question", typed),
    "beside": Row("one more typed token while a text is read into an index", beside),
    "index": Row("a text into an index", index),
    "effect": Row("what each latent at a token does to the next one", effect),
    "logits": Row("128 and 512 tokens to logits", logits),
    "generate": Row("32 tokens generated after 32, KV cache", generate),
    "arms": Row("three arms of 64 tokens after 32, steered as one batch", arms),
    "nearest": Row("one latent's nearest among 98,304 × 768, top 10", nearest),
    "pairs": Row("all pairs 12,288 × 24,576, top 5", pairs),
    "tables": Row("nearest tables of the ladder", tables),
    "scores": Row("insertion scores of 98,304 latents on 10,000 tokens", scores),
    "train": Row("a step of meta-SAE training, 49,152 × 768 rows, 2,304 wide, k 4, batch 16,384", train),
    "memory": Row("memory at rest with GPT-2 and the ladder", memory),
    "growth": Row("cost as work grows", growth),
}
