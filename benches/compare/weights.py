"""Makes what both sides read: GPT-2 small and a ladder of eight SAEs with random weights of the real shapes.
Not here: anything that is measured.

    python weights.py FOLDER [TOKENIZER]

FOLDER/hub is a Hugging Face cache with the model under both of its names, FOLDER/saes holds the ladder as SAELens
folders, FOLDER/suite.toml describes the two for saescope. TOKENIZER is a folder with GPT-2's tokenizer; without it the
files are downloaded.
"""

import json
import os
import shutil
import sys
from pathlib import Path

WIDTHS = [768 << step for step in range(8)]
D, LAYER, FIRING = 768, 8, 30
REPOS = ["gpt2", "openai-community/gpt2"]
REVISION = "0" * 40
TOKENIZER_FILES = ["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"]
# Sentences of common words: their tokens begin the prompts.
TEXT = """The old town lies on a small river, and most of its people work in the mills that were built along the water
a hundred years ago. In the summer many visitors come to see the houses, the market and the church with its tall tower.
A physicist was born here who later became famous for his work on light, and his family still owns the house in which he
grew up. Every year the school gives a prize to a student who has found out something that nobody knew before."""


def tokenizer(folder: Path, source: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if source is None:
        from huggingface_hub import hf_hub_download

        source = os.path.dirname([hf_hub_download(REPOS[1], name) for name in TOKENIZER_FILES][0])
    for name in TOKENIZER_FILES:
        (folder / name).write_bytes((Path(source) / name).read_bytes())


def model(folder: Path):
    """GPT-2 as transformers initialises it, with the weights of its norms and biases moved off 1 and 0."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(n_ctx=1024)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.add_(0.02 * torch.randn_like(weight))
            elif not name.endswith("wpe.weight"):
                # Larger than at the start of a training, so that tokens and not positions decide.
                weight.mul_(2.0)
    model.save_pretrained(folder)
    return model


def sample(folder: Path, model) -> tuple:
    """Activations at the site on random tokens, [10,240, 768], which stand for a text."""
    import torch

    torch.manual_seed(2)
    rows = []
    with torch.no_grad():
        for _ in range(40):
            ids = torch.randint(0, 50_000, (1, 256))
            hidden = model.transformer(ids, output_hidden_states=True).hidden_states[LAYER]
            rows.append(hidden[0])
    rows = torch.cat(rows)
    rows[:10_000].numpy().tofile(folder / "activations.f32")
    return rows


def ladder(folder: Path, rows) -> None:
    """Random unit decoder rows, encoders that read them, and biases that let about `FIRING` latents of each SAE fire."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(3)
    b_dec = rows.mean(0)
    centred = rows[:2048] - b_dec
    for width in WIDTHS:
        decoder = torch.nn.functional.normalize(torch.randn(width, D), dim=1)
        pre = torch.cat([centred @ part.T for part in decoder.split(8192)], 1)
        # Over random directions pre-activations are near enough to normal.
        share = torch.tensor(FIRING / width, dtype=torch.float64)
        threshold = float(torch.special.ndtri(1 - share))
        bias = -(pre.mean(0) + max(threshold, 0.05) * pre.std(0))
        sae = folder / "saes" / str(width)
        sae.mkdir(parents=True, exist_ok=True)
        tensors = {
            "W_enc": decoder.T.contiguous(),
            "b_enc": bias,
            "W_dec": decoder,
            "b_dec": b_dec.clone(),
        }
        save_file(tensors, sae / "sae_weights.safetensors")
        (sae / "cfg.json").write_text(json.dumps(config(width), indent=2))


def config(width: int) -> dict:
    return {
        "architecture": "standard",
        "d_in": D,
        "d_sae": width,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "model_name": "gpt2",
            "hook_name": f"blocks.{LAYER}.hook_resid_pre",
            "prepend_bos": False,
            "context_size": 128,
            "sae_lens_version": "6.54.12",
        },
    }


def cache(folder: Path, files: Path) -> None:
    """A Hugging Face cache in which the model is under every name that somebody loads it by."""
    for repo in REPOS:
        root = folder / "hub" / ("models--" + repo.replace("/", "--"))
        snapshot = root / "snapshots" / REVISION
        snapshot.mkdir(parents=True, exist_ok=True)
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text(REVISION)
        for file in files.iterdir():
            link = snapshot / file.name
            if not link.exists():
                link.symlink_to(file)


def suite(folder: Path) -> None:
    lines = [
        'id = "ladder"',
        'title = "Random weights of GPT-2 small and of eight SAEs"',
        "threshold = 0.7",
        "[model]",
        'path = "model"',
        "prepend_bos = false",
        "[site]",
        f"layer = {LAYER}",
        'kind = "resid_pre"',
        "center = false",
    ]
    for width in WIDTHS:
        entry = [f'id = "{width}"', 'format = "sae-lens"', 'path = "saes"', f'folder = "{width}"', "default = true"]
        lines += ["[[sae]]", *entry]
    (folder / "suite.toml").write_text("\n".join(lines) + "\n")


def prompts(folder: Path) -> None:
    """Two prompts of exactly 32 tokens with different first tokens, and each with one more token."""
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder / "model")
    ids = tokens.encode(TEXT.replace("\n", " "))
    found = {}
    for name, start in [("a", 0), ("b", 40)]:
        found[name] = tokens.decode(ids[start : start + 32])
        found[name + "+"] = tokens.decode(ids[start : start + 33])
        for text, count in [(found[name], 32), (found[name + "+"], 33)]:
            assert len(tokens.encode(text)) == count, text
    (folder / "prompts.json").write_text(json.dumps(found, indent=2))


def corpus(folder: Path, documents: int = 64, length: int = 128) -> None:
    """A text of documents of exactly 128 tokens each: the words of `TEXT` in random order."""
    import random

    from transformers import AutoTokenizer

    tokens, draw = AutoTokenizer.from_pretrained(folder / "model"), random.Random(4)
    words = TEXT.split()
    found = []
    while len(found) < documents:
        ids = tokens.encode(" ".join(draw.choice(words) for _ in range(length)))[:length]
        document = tokens.decode(ids)
        if tokens.encode(document) == ids:
            found.append(document)
    (folder / "corpus.txt").write_text("<|endoftext|>".join(found))


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    done = folder / "done"
    if done.exists():
        if not (folder / "corpus.txt").exists():
            corpus(folder)
        return
    shutil.rmtree(folder / "hub", ignore_errors=True)
    files = folder / "model"
    tokenizer(files, sys.argv[2] if len(sys.argv) > 2 else None)
    made = model(files)
    cache(folder, files)
    ladder(folder, sample(folder, made))
    suite(folder)
    prompts(folder)
    corpus(folder)
    done.touch()


if __name__ == "__main__":
    main()
