"""The other side of `compare.py`: the libraries that a researcher would use, doing the same work on the same files.
Not here: this program's side (`worker.rs`), medians, and whether the two agree.

Reads one line of JSON for each piece of work, like `worker.rs`; `peers.py FOLDER THREADS SIDE` where SIDE is
`transformer_lens`, `transformers`, `numpy`, `torch` or `faiss`.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

WIDTHS = [768 << step for step in range(8)]
LAYER = 8
SITE = f"blocks.{LAYER}.hook_resid_pre"


def timed(work):
    start = time.perf_counter()
    result = work()
    return (time.perf_counter() - start) * 1e3, result


def rows_of(folder: Path, width: int, name: str = "W_dec"):
    from safetensors import safe_open

    with safe_open(folder / "saes" / str(width) / "sae_weights.safetensors", "np") as file:
        return file.get_tensor(name)


class Transformers:
    """Bare transformers, with SAELens for what fires."""

    def __init__(self, folder: Path):
        import torch
        from sae_lens import SAE
        from transformers import AutoTokenizer, GPT2LMHeadModel

        self.torch = torch
        self.tokens = AutoTokenizer.from_pretrained(folder / "model")
        self.model = GPT2LMHeadModel.from_pretrained(folder / "model").eval()
        self.saes = [SAE.load_from_disk(str(folder / "saes" / str(width))) for width in WIDTHS]

    def through(self, ids):
        out = self.model(ids, output_hidden_states=True)
        return out.logits[0], out.hidden_states[LAYER][0]

    def question(self, prompt: str, told: bool):
        torch = self.torch

        def work():
            ids = torch.tensor([self.tokens.encode(prompt)])
            logits, x = self.through(ids)
            return logits, [sae.encode(x).topk(20) for sae in self.saes]

        with torch.no_grad():
            ms, (logits, tops) = timed(work)
            if not told:
                return {"ms": ms}
            logprobs = logits.log_softmax(-1).topk(5)
        pairs = lambda top: [
            [pair for pair in zip(ids, values) if pair[1] != 0.0]
            for ids, values in zip(top.indices.tolist(), top.values.tolist())
        ]
        return {"ms": ms, "latents": [pairs(top) for top in tops], "next": pairs(logprobs)}

    def index(self, saes, windows, batch, told):
        """The plain way: to the layer, encode, and each latent's running count, largest and best 20 by `topk`."""
        torch = self.torch
        blocks = torch.nn.ModuleList(self.model.transformer.h[:LAYER])
        rest, norm = self.model.transformer.h, self.model.transformer.ln_f
        picked = [self.saes[WIDTHS.index(int(sae))] for sae in saes]

        def work():
            counts = [torch.zeros(sae.cfg.d_sae, dtype=torch.int64) for sae in picked]
            best = [torch.zeros(20, sae.cfg.d_sae) for sae in picked]
            where = [torch.zeros(20, sae.cfg.d_sae, dtype=torch.int64) for sae in picked]
            for begin in range(0, len(windows), batch):
                ids = torch.tensor(windows[begin : begin + batch])
                x = self.model.transformer(ids, use_cache=False).last_hidden_state[:, 1:].reshape(-1, 768)
                at = (begin * 128 + torch.arange(len(x)))[:, None]
                for place, sae in enumerate(picked):
                    acts = sae.encode(x)
                    counts[place] += (acts > 0).sum(0)
                    both = torch.cat([best[place], acts])
                    best[place], rows = both.topk(20, dim=0)
                    where[place] = torch.cat([where[place], at.expand(-1, acts.shape[1])]).gather(0, rows)
            return counts, best

        try:
            # What comes behind the site is not run.
            self.model.transformer.h, self.model.transformer.ln_f = blocks, torch.nn.Identity()
            with torch.no_grad():
                ms, (counts, best) = timed(work)
        finally:
            self.model.transformer.h, self.model.transformer.ln_f = rest, norm
        if not told:
            return {"ms": ms}
        figures = [list(zip(count.tolist(), most[0].tolist())) for count, most in zip(counts, best)]
        return {"ms": ms, "figures": figures}

    def windows(self, text):
        """The windows of a text whose documents have 128 tokens each."""
        documents = Path(text).read_text().split("<|endoftext|>")
        return {"windows": [self.tokens.encode(document) for document in documents]}

    def logits(self, ids, save):
        with self.torch.no_grad():
            ms, logits = timed(lambda: self.model(self.torch.tensor([ids])).logits)
        if save:
            logits.numpy().tofile(save)
        return {"ms": ms}

    def generate(self, ids, tokens):
        """A plain loop over the model's KV cache, which is faster than its `generate`."""
        torch = self.torch

        def work():
            now, cache, new = torch.tensor([ids]), None, []
            for _ in range(tokens):
                out = self.model(now, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache, now = out.past_key_values, out.logits[:, -1:].argmax(-1)
                new.append(int(now))
            return new

        with torch.no_grad():
            ms, new = timed(work)
        return {"ms": ms, "ids": new}


class TransformerLens(Transformers):
    """transformer_lens in place of transformers."""

    def __init__(self, folder: Path):
        import torch
        from sae_lens import SAE
        from transformer_lens import HookedTransformer
        from transformers import AutoTokenizer

        self.torch = torch
        self.tokens = AutoTokenizer.from_pretrained(folder / "model")
        self.model = HookedTransformer.from_pretrained_no_processing("gpt2", tokenizer=self.tokens)
        self.saes = [SAE.load_from_disk(str(folder / "saes" / str(width))) for width in WIDTHS]

    def through(self, ids):
        logits, cache = self.model.run_with_cache(ids, names_filter=SITE)
        return logits[0], cache[SITE][0]

    def effect(self, prompt, sae, token, told):
        """As it is written with hooks: one run for each latent that fires at the last token, from the layer on."""
        torch = self.torch
        sae = self.saes[WIDTHS.index(int(sae))]

        def work():
            ids = torch.tensor([self.tokens.encode(prompt)])
            _, cache = self.model.run_with_cache(ids, names_filter=SITE)
            x = cache[SITE]
            acts = sae.encode(x[0, -1:])[0]
            found = []
            for latent in acts.nonzero()[:, 0].tolist():

                def ablate(value, hook):
                    value[:, -1] -= acts[latent] * sae.W_dec[latent]
                    return value

                self.model.add_hook(SITE, ablate)
                ablated = self.model(x.clone(), start_at_layer=LAYER)
                self.model.reset_hooks()
                found.append((latent, float(acts[latent]), float(ablated[0, -1].log_softmax(-1)[token])))
            return found

        with torch.no_grad():
            ms, found = timed(work)
        return {"ms": ms, "latents": found if told else None}


class Numpy:
    """NumPy, for what has no library."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.held = {}

    def decoder(self, width: int):
        if width not in self.held:
            rows = rows_of(self.folder, width)
            self.held[width] = rows, np.linalg.norm(rows, axis=1)
        return self.held[width]

    def nearest(self, sae, latent, k):
        rows, norms = self.decoder(sae)

        def work():
            cosines = rows @ rows[latent] / (norms * norms[latent])
            best = np.argpartition(-cosines, k)[:k]
            return [(int(i), float(cosines[i])) for i in best[np.argsort(-cosines[best])]]

        ms, near = timed(work)
        return {"ms": ms, "near": near}

    def scores(self, small, large, tokens, codes, save):
        x = np.fromfile(self.folder / "activations.f32", np.float32)[: tokens * 768].reshape(tokens, 768)
        b_dec = rows_of(self.folder, small, "b_dec")
        f0, f1 = (self.codes(path) for path in codes)
        (d0, _), (d1, norms) = self.decoder(small), self.decoder(large)

        def work():
            residual = x - b_dec
            for at in range(0, len(f0[0]), 8192):
                row, latent, value = (part[at : at + 8192] for part in f0)
                np.subtract.at(residual, row, value[:, None] * d0[latent])
            gain, energy = np.zeros(len(d1)), np.zeros(len(d1))
            for at in range(0, len(f1[0]), 8192):
                row, latent, value = (part[at : at + 8192] for part in f1)
                dots = np.einsum("ij,ij->i", residual[row], d1[latent])
                np.add.at(gain, latent, value * dots)
                np.add.at(energy, latent, (value * norms[latent]) ** 2)
            return np.stack([gain, energy], 1)

        ms, scores = timed(work)
        if save:
            scores.astype(np.float32).tofile(save)
        return {"ms": ms}

    @staticmethod
    def codes(path):
        rows, latents, values = np.fromfile(path, np.uint32).reshape(3, -1)
        return rows, latents, values.view(np.float32)


class Faiss:
    """The exact index of faiss over rows scaled to length 1."""

    def __init__(self, folder: Path):
        import faiss

        faiss.omp_set_num_threads(int(sys.argv[2]))
        self.faiss, self.folder, self.held = faiss, folder, {}

    def unit(self, width: int):
        rows = rows_of(self.folder, width)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def pairs(self, queries, rows, k, save):
        if (queries, rows) not in self.held:
            index = self.faiss.IndexFlatIP(768)
            index.add(self.unit(rows))
            self.held[queries, rows] = index, self.unit(queries)
        index, asked = self.held[queries, rows]
        ms, (cosines, _) = timed(lambda: index.search(asked, k))
        if save:
            cosines.tofile(save)
        return {"ms": ms}


class Torch:
    """torch alone: the matrix product, and training as its users write it."""

    def __init__(self, folder: Path):
        import torch

        self.torch, self.folder = torch, folder

    def product(self, size):
        a = self.torch.full((size, size), 0.5)
        b = self.torch.full((size, size), 0.25)
        return {"ms": timed(lambda: a @ b)[0]}

    def train(self, sae, width, k, batch, steps, first):
        """BatchTopK, dense, with the fused Adam: the first step is not timed."""
        torch = self.torch
        rows = torch.from_numpy(rows_of(self.folder, sae))
        rows = rows / rows.norm(dim=1, keepdim=True)
        rows *= (768 / (rows - rows.mean(0)).pow(2).sum(1).mean()).sqrt()
        if first:
            decoder = torch.from_numpy(np.fromfile(first, np.float32).reshape(width, 768).copy())
        else:
            decoder = torch.nn.functional.normalize(torch.randn(width, 768), dim=1)
        decoder = torch.nn.Parameter(decoder)
        encoder = torch.nn.Parameter(decoder.detach().T.clone())
        b_enc = torch.nn.Parameter(torch.zeros(width))
        b_dec = torch.nn.Parameter(rows.mean(0))
        adam = torch.optim.Adam([encoder, b_enc, decoder, b_dec], lr=1e-3, betas=(0.9, 0.99), eps=1e-8, fused=True)
        order, times = torch.randperm(len(rows)), []
        for step in range(steps):
            begin = step * batch % len(rows)
            x = rows[order[begin : begin + batch]]
            start = time.perf_counter()
            acts = ((x - b_dec) @ encoder + b_enc).relu()
            top = acts.flatten().topk(k * len(x))
            sparse = torch.zeros_like(acts).flatten().scatter(0, top.indices, top.values).view_as(acts)
            error = sparse @ decoder + b_dec - x
            loss = error.pow(2).sum(1).mean()
            adam.zero_grad()
            loss.backward()
            with torch.no_grad():
                decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
                adam.step()
                decoder /= decoder.norm(dim=1, keepdim=True)
                total = (x - x.mean(0)).pow(2).sum(1).mean()
            times.append((time.perf_counter() - start) * 1e3)
        return {"ms": float(np.median(times[1:] or times)), "explained": float(1 - loss / total)}


SIDES = {
    "transformers": Transformers,
    "transformer_lens": TransformerLens,
    "numpy": Numpy,
    "faiss": Faiss,
    "torch": Torch,
}


def main() -> None:
    folder, threads, side = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if side in ("transformers", "transformer_lens", "torch"):
        import torch

        torch.set_num_threads(threads)
    answers = sys.stdout
    sys.stdout = sys.stderr
    peer = SIDES[side](folder)
    for line in sys.stdin:
        work = json.loads(line)
        answer = getattr(peer, work.pop("do"))(**work)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
