"""Makes the catalogue's suite files of the large releases, and the table of Gemma Scope's canonical SAEs.

Names, layers, paths and figures are those of `pretrained_saes.yaml` in sae-lens 6.54.12; sizes follow from shapes, and
what no file was seen to confirm stands in `unverified`. The suites of jbloom's GPT-2 SAEs are written by hand. Run from
the repository root:

    python assets/make_catalogue.py
"""

from pathlib import Path

import sae_lens
import yaml

OUT = Path("assets/catalogue")
RELEASES = yaml.safe_load((Path(sae_lens.__file__).parent / "pretrained_saes.yaml").read_text())
WIDTHS = {"16k": 2**14, "32k": 2**15, "65k": 2**16, "131k": 2**17, "262k": 2**18, "524k": 2**19, "1m": 2**20}

GPT2 = """[model]
repo = "openai-community/gpt2"
prepend_bos = {bos}
licence = "MIT"
bytes = 549_461_092
"""
GEMMA = """[model]
repo = "google/gemma-2-{size}"
prepend_bos = true
licence = "Gemma"
gated = true
mirrors = ["unsloth/gemma-2-{size}"]
bytes = {bytes}
unverified = ["bytes", "dtype", "mirrors"]
"""
GEMMA_3 = """[model]
repo = "{repo}"
prepend_bos = true
licence = "Gemma"
gated = true
mirrors = ["{mirror}"]
bytes = {bytes}
unverified = ["bytes", "dtype", "mirrors", "bos"]
"""
LLAMA = """[model]
repo = "meta-llama/Llama-3.1-8B"
prepend_bos = true
licence = "Llama 3.1"
gated = true
mirrors = ["NousResearch/Meta-Llama-3.1-8B", "unsloth/Meta-Llama-3.1-8B"]
bytes = 16_069_600_000
unverified = ["bytes", "mirrors", "bos"]
"""
LLAMA_INSTRUCT = """[model]
repo = "meta-llama/Llama-3.1-8B-Instruct"
prepend_bos = true
licence = "Llama 3.1"
gated = true
mirrors = ["NousResearch/Meta-Llama-3.1-8B-Instruct", "unsloth/Meta-Llama-3.1-8B-Instruct"]
bytes = 16_069_600_000
unverified = ["bytes", "mirrors", "bos"]
"""
R1 = """[model]
repo = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
prepend_bos = true
licence = "MIT"
bytes = 16_069_600_000
unverified = ["bytes", "bos"]
"""
PYTHIA = """[model]
repo = "EleutherAI/pythia-70m-deduped"
prepend_bos = false
licence = "Apache-2.0"
bytes = 168_200_000
unverified = ["bytes", "prepend_bos"]
"""


def grouped(number):
    return f"{number:_}"


def named(width):
    return f"{width:,}"


def sae(id, format, repo, folder=None, file=None, default=False, licence=None, neuronpedia=None, expect=None,
        size=None, unverified=()):
    lines = ["[[sae]]", f'id = "{id}"', f'format = "{format}"', f'repo = "{repo}"']
    if folder:
        lines.append(f'folder = "{folder}"')
    if file:
        lines.append(f'file = "{file}"')
    if default:
        lines.append("default = true")
    if licence:
        lines.append(f'licence = "{licence}"')
    if neuronpedia:
        lines.append(f'neuronpedia = "{neuronpedia}"')
    if expect:
        lines.append("expect = { " + ", ".join(f"{key} = {float(value)}" for key, value in expect.items()) + " }")
    if size:
        lines.append(f"bytes = {grouped(size)}")
    if unverified:
        lines.append("unverified = [" + ", ".join(f'"{what}"' for what in unverified) + "]")
    return "\n".join(lines) + "\n"


def suite(id, title, model, layer, kind, saes, threshold=0.7, prompt=None, site=""):
    head = [f'id = "{id}"', f'title = "{title}"', f"threshold = {threshold}"]
    head.append(f'prompt = "{prompt or "Albert Einstein was a German-born theoretical physicist"}"')
    site = f'[site]\nlayer = {layer}\nkind = "{kind}"\n{site}'
    (OUT / f"{id}.toml").write_text("\n".join(["\n".join(head) + "\n", model, site, *saes]))


def weights(d_in, width, element=4, vectors=1):
    """The bytes of both matrices and the biases, with some 2 kB of headers and configuration."""
    return (2 * d_in * width + vectors * width + d_in) * element + 2000


def by_layer(release):
    """The entries of a release by the layer in their SAELens id."""
    return {int(entry["id"].split(".")[1]): entry for entry in RELEASES[release]["saes"]}


def openai():
    for site, kind, words in [
        ("attn-out", "attn_out", "attention output of"),
        ("resid-mid", "resid_mid", "residual stream midway through"),
        ("mlp-out", "mlp_out", "MLP output of"),
        ("resid-post", "resid_post", "residual stream leaving"),
    ]:
        for layer in range(12):
            saes = []
            for width, label in [(2**15, "32k"), (2**17, "128k")]:
                release = f"gpt2-small-{site}-v5-{label}"
                entry = by_layer(release)[layer]
                assert entry["id"] == f"blocks.{layer}.hook_{kind}", entry
                saes.append(sae(
                    width, "sae-lens", RELEASES[release]["repo_id"], entry["path"], default=label == "32k",
                    neuronpedia=entry["neuronpedia"], expect={"l0": 32}, size=weights(768, width),
                    unverified=["bytes"],
                ))
            title = f"GPT-2 small, {words} layer {layer}, 32,768 and 131,072 latents (OpenAI v5, TopK)"
            suite(f"gpt2-small-oai-{site}-{layer}", title, GPT2.format(bos="false"), layer, kind, saes)


def attention_z():
    release = RELEASES["gpt2-small-hook-z-kk"]
    for layer, entry in by_layer("gpt2-small-hook-z-kk").items():
        width = 49152 if "ds49152" in entry["path"] else 24576
        one = sae(
            width, "hook-z", release["repo_id"], file=entry["path"], default=True, neuronpedia=entry["neuronpedia"],
            expect={"l0": entry["l0"], "explained_variance": entry["variance_explained"]},
            size=weights(768, width), unverified=["bytes", "value-bias", "explained_variance"],
        )
        title = f"GPT-2 small, attention heads' z of layer {layer}, {named(width)} latents (Kissane et al.)"
        # They were trained on z as TransformerLens has it, without what it folds into the output's bias.
        suite(f"gpt2-small-att-kk-{layer}", title, GPT2.format(bos="true"), layer, "attn_z", [one],
              site="fold_value_bias = true\n")


def gemma_entry(repo, folder, label, width, d_in, l0, neuronpedia, default, unverified=()):
    # An array of `numpy.savez` costs some 300 bytes beside its numbers.
    size = weights(d_in, width, vectors=2) - 500
    return sae(label, "gemma-scope", repo, folder, default=default, licence="CC-BY-4.0", neuronpedia=neuronpedia,
               expect={"l0": l0}, size=size, unverified=["bytes", *unverified])


def gemma():
    models = {
        "2b": GEMMA.format(size="2b", bytes="10_474_900_000"),
        "9b": GEMMA.format(size="9b", bytes="36_984_400_000"),
    }
    d_model, heads = {"2b": 2304, "9b": 3584}, {"2b": 2048, "9b": 4096}
    wanted = [("2b", layer, "res") for layer in (5, 12, 19, 20)] + [("2b", 12, "att"), ("2b", 12, "mlp")]
    wanted += [("9b", 20, site) for site in ("res", "att", "mlp")]
    for size, layer, site in wanted:
        release = f"gemma-scope-{size}-pt-{site}"
        repo = RELEASES[release]["repo_id"]
        kind = {"res": "resid_post", "att": "attn_z", "mlp": "mlp_out"}[site]
        words = {"res": "residual stream leaving", "att": "attention heads' z of", "mlp": "MLP output of"}[site]
        d_in = heads[size] if site == "att" else d_model[size]
        canonical = {e["path"]: e for e in RELEASES[f"{release}-canonical"]["saes"]}
        folders = {}
        for entry in RELEASES[release]["saes"]:
            parts = entry["path"].split("/")
            if parts[0] == f"layer_{layer}":
                label, l0 = parts[1].removeprefix("width_"), int(parts[2].removeprefix("average_l0_"))
                folders.setdefault(label, []).append((entry["path"] not in canonical, abs(l0 - 100), l0, entry["path"]))
        saes = []
        for label in sorted(folders, key=WIDTHS.get):
            missing, _, l0, path = min(folders[label])
            neuronpedia = None if missing else canonical[path].get("neuronpedia")
            large = WIDTHS[label] >= 2**16 and label != "16k"
            saes.append(gemma_entry(repo, path, label, WIDTHS[label], d_in, l0, neuronpedia, label in ("16k", "65k")
                                    and size == "2b" or label == "16k", ["stored"] if large else []))
        if (size, layer, site) == ("2b", 12, "res"):
            # Those of arXiv 2502.04878, section 4; that the second is this folder is likely, not certain.
            for label, l0, unsure in [("16k", 41, []), ("32k", 40, ["folder"])]:
                neuronpedia = f"gemma-2-2b/12-gemmascope-res-16k__l0-{l0}" if label == "16k" else None
                saes.append(gemma_entry(repo, f"layer_12/width_{label}/average_l0_{l0}", f"{label}-l0-{l0}",
                                        WIDTHS[label], d_in, l0, neuronpedia, False, unsure))
        widths = sorted((WIDTHS[label] for label in folders))
        title = f"Gemma 2 {size.upper()}, {words} layer {layer}, {named(widths[0])} to {named(widths[-1])} latents"
        if len(widths) == 2:
            title = title.replace(" to ", " and ")
        suite(f"gemma-2-{size}-{site}-{layer}", f"{title} (Gemma Scope)", models[size], layer, kind, saes)


def gemma_3():
    # Sizes of the residual stream and of all heads together, and the bytes of the model in BF16.
    models = {
        "270m": ("google/gemma-3-270m", 640, 1024, "569_700_000"),
        "1b": ("google/gemma-3-1b-pt", 1152, 1024, "2_033_300_000"),
        "4b": ("google/gemma-3-4b-pt", 2560, 2048, "8_640_000_000"),
    }
    sites = {
        "res": ("resid_post", "residual stream leaving"),
        "att": ("attn_z", "attention heads' z of"),
        "mlp": ("mlp_out", "MLP output of"),
    }
    for size, (repo, d_model, heads, bytes) in models.items():
        for site, (kind, words) in sites.items():
            release = RELEASES[f"gemma-scope-2-{size}-pt-{site}"]
            assert release["model"] == repo, (release["model"], repo)
            middling = {}
            for entry in release["saes"]:
                _, layer, _, width, *rest = entry["path"].split("/")[1].split("_")
                if rest == ["l0", "medium"]:
                    middling.setdefault(int(layer), {})[width] = entry
            for layer, entries in sorted(middling.items()):
                saes = []
                for width in sorted(entries, key=WIDTHS.get):
                    entry, d_in = entries[width], heads if site == "att" else d_model
                    saes.append(sae(
                        width, "gemma-scope", release["repo_id"], entry["path"], file="params.safetensors",
                        default=width in ("16k", "65k"), licence="CC-BY-4.0", neuronpedia=entry.get("neuronpedia"),
                        expect={"l0": entry["l0"]}, size=weights(d_in, WIDTHS[width], vectors=2), unverified=["bytes"],
                    ))
                widths = sorted(WIDTHS[width] for width in entries)
                title = f"Gemma 3 {size.upper()}, {words} layer {layer}, {named(widths[0])} to {named(widths[-1])} latents"
                mirror = f"unsloth/{repo.removeprefix('google/')}"
                model = GEMMA_3.format(repo=repo, mirror=mirror, bytes=bytes)
                suite(f"gemma-3-{size}-{site}-{layer}", f"{title} (Gemma Scope 2)", model, layer, kind, saes)


def saebench():
    for layer in (5, 12, 19):
        saes = []
        for power, label in [(12, "4k"), (14, "16k"), (16, "65k")]:
            release = RELEASES[f"sae_bench_gemma-2-2b_topk_width-2pow{power}_date-1109"]
            path = f"gemma-2-2b_topk_width-2pow{power}_date-1109/resid_post_layer_{layer}/trainer_0"
            entry = next(e for e in release["saes"] if e["path"] == path)
            saes.append(sae(
                label, "dictionary-learning", release["repo_id"], path, default=power < 16,
                neuronpedia=entry["neuronpedia"], size=weights(2304, 2**power), unverified=["bytes", "k"],
            ))
        title = f"Gemma 2 2B, residual stream leaving layer {layer}, 4,096 to 65,536 latents (SAEBench, TopK)"
        model = GEMMA.format(size="2b", bytes="10_474_900_000")
        suite(f"gemma-2-2b-saebench-{layer}", title, model, layer, "resid_post", saes)


def llama():
    for position, site, kind, words in [
        ("r", "res", "resid_post", "residual stream leaving"),
        ("a", "att", "attn_out", "attention output of"),
        ("m", "mlp", "mlp_out", "MLP output of"),
    ]:
        for layer in range(32):
            saes = []
            for times, label, width in [("8x", "32k", 2**15), ("32x", "131k", 2**17)]:
                release = RELEASES[f"llama_scope_lx{position}_{times}"]
                entry = next(e for e in release["saes"] if e["id"] == f"l{layer}{position}_{times}")
                saes.append(sae(
                    times, "llama-scope", release["repo_id"], entry["path"], default=times == "8x",
                    neuronpedia=entry["neuronpedia"], expect={"l0": entry["l0"]}, size=weights(4096, width, 2),
                    unverified=["decoder-norms"] if times == "8x" else ["bytes", "decoder-norms"],
                ))
            title = f"Llama 3.1 8B, {words} layer {layer}, 32,768 and 131,072 latents (Llama Scope)"
            suite(f"llama-3.1-8b-{site}-{layer}", title, LLAMA, layer, kind, saes)


def r1():
    release = RELEASES["llama_scope_r1_distill"]
    # What they were trained on, by what stands in the paths: plain text, half of each, reasoning.
    mixtures = [
        ("slimpajama", "800M-Slimpajama-0-OpenR1-Math-220k"),
        ("mixed", "400M-Slimpajama-400M-OpenR1-Math-220k"),
        ("openr1", "0-Slimpajama-800M-OpenR1-Math-220k"),
    ]
    for layer in range(32):
        saes = []
        for label, mixture in mixtures:
            entry = next(e for e in release["saes"] if e["path"] == f"{mixture}/L{layer}R")
            saes.append(sae(
                label, "llama-scope", release["repo_id"], entry["path"], file="sae_weights.safetensors",
                default=label == "slimpajama", neuronpedia=entry["neuronpedia"],
                size=weights(4096, 2**15, vectors=2), unverified=["bytes", "decoder-norms"],
            ))
        title = f"R1 distilled into Llama 8B, residual stream leaving layer {layer}, 32,768 latents (Llama Scope)"
        suite(f"llama-r1-distill-8b-res-{layer}", title, R1, layer, "resid_post", saes)


def linear():
    for name, id, title, model in [
        ("goodfire-llama-3.1-8b-instruct", "llama-3.1-8b-instruct-goodfire-19",
         "Llama 3.1 8B Instruct, residual stream leaving layer 19, 65,536 latents (Goodfire)", LLAMA_INSTRUCT),
        ("deepseek-r1-distill-llama-8b-qresearch", "llama-r1-distill-8b-qresearch-19",
         "R1 distilled into Llama 8B, residual stream leaving layer 19, 65,536 latents (qresearch)", R1),
    ]:
        release = RELEASES[name]
        entry = release["saes"][0]
        saes = [sae(
            "65k", "linear", release["repo_id"], file=entry["path"], default=True, neuronpedia=entry["neuronpedia"],
            expect={"l0": entry["l0"]} if "l0" in entry else None, size=weights(4096, 2**16),
            unverified=["bytes", "dtype"],
        )]
        suite(id, title, model, 19, "resid_post", saes)


def pythia():
    for site, kind, words in [
        ("res", "resid_post", "residual stream leaving"),
        ("att", "attn_out", "attention output of"),
        ("mlp", "mlp_out", "MLP output of"),
    ]:
        release = RELEASES[f"pythia-70m-deduped-{site}-sm"]
        for layer in range(6):
            entry = next(e for e in release["saes"] if e["path"] == f"{layer}-{site}-sm")
            assert entry["id"] == f"blocks.{layer}.hook_{kind}", entry
            saes = [sae(
                "sm", "sae-lens", release["repo_id"], entry["path"], default=True, neuronpedia=entry["neuronpedia"],
                size=weights(512, 2**15), unverified=["bytes", "config"],
            )]
            if site == "res":
                saes.append(sae(
                    "eleuther", "sparsify", "EleutherAI/sae-pythia-70m-deduped-32k", f"layers.{layer}",
                    expect={"l0": 16}, size=weights(512, 2**15), unverified=["bytes", "config"],
                ))
            title = f"Pythia 70M deduped, {words} layer {layer}, 32,768 latents"
            suite(f"pythia-70m-{site}-{layer}", title, PYTHIA, layer, kind, saes)


def canonical():
    lines = ["# Which folder sae-lens calls canonical: repository, layer, width, average L0. See make_catalogue.py."]
    for name, release in RELEASES.items():
        if name.startswith("gemma-scope-") and name.endswith("-canonical"):
            for entry in release["saes"]:
                layer, width, l0 = entry["path"].split("/")
                lines.append(f"{release['repo_id']} {layer} {width} {l0}")
    Path("assets/gemma_scope_canonical.txt").write_text("\n".join(lines) + "\n")
    print(f"{len(lines) - 1} canonical folders")


def main():
    for old in OUT.glob("*.toml"):
        if not old.name.startswith(("gpt2-small-feature", "gpt2-small-res-jb")):
            old.unlink()
    openai()
    attention_z()
    gemma()
    gemma_3()
    saebench()
    llama()
    r1()
    linear()
    pythia()
    canonical()
    print(f"{len(list(OUT.glob('*.toml')))} suites")


if __name__ == "__main__":
    main()
