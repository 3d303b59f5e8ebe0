"""What a researcher writes to see the first latents: model, SAEs, prompt, the 20 strongest of every position as JSON.

    python first_latents.py FOLDER THREADS PROMPT
"""

import json
import sys

import torch
from sae_lens import SAE
from transformer_lens import HookedTransformer
from transformers import AutoTokenizer

folder, threads, prompt = sys.argv[1:]
torch.set_num_threads(int(threads))
tokens = AutoTokenizer.from_pretrained(f"{folder}/model")
answers, sys.stdout = sys.stdout, sys.stderr
model = HookedTransformer.from_pretrained_no_processing("gpt2", tokenizer=tokens)
with torch.no_grad():
    ids = torch.tensor([tokens.encode(prompt)])
    x = model(ids, stop_at_layer=8)[0]
    found = []
    for width in (768 << step for step in range(8)):
        sae = SAE.load_from_disk(f"{folder}/saes/{width}")
        top = sae.encode(x).topk(20)
        found.append([list(zip(*row)) for row in zip(top.indices.tolist(), top.values.tolist())])
json.dump(found, answers)
