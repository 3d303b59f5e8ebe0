#!/usr/bin/env bash
# transformers 5.24.0 with tokenizers 0.23.3: `tokenizer_class: GPT2Tokenizer` in tokenizer_config.json makes AutoTokenizer
# build the tokenizer anew from the vocabulary and merges of tokenizer.json. Its pre-tokenizer and the added tokens that
# the config does not repeat are left behind, without a warning, although a complete tokenizer.json lies beside it.
# Guess: tokenizer.json is the whole truth, as it is for PreTrainedTokenizerFast (and was in version 4's fast classes).
# Seen, for the text 'a12<|sep|>':
#   the file alone:          ['a', '1', '2', '<|sep|>']
#   PreTrainedTokenizerFast: ['a', '1', '2', '<|sep|>']
#   GPT2Tokenizer:           ['a', '12', '<', '|', 's', 'e', 'p', '|', '>']
# So an SAE's activations on such a model (SmolLM's config names this class for a Llama) belong to other tokens than
# those that the `tokenizers` library makes of the same files.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet transformers==5.24.0 tokenizers==0.23.3
cat > run.py <<'PY'
import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

letters = pre_tokenizers.ByteLevel.alphabet()
vocab = {letter: at for at, letter in enumerate(sorted(letters))}
vocab["12"] = len(vocab)
tokenizer = Tokenizer(models.BPE(vocab, [("1", "2")]))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
])
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True), AddedToken("<|sep|>", special=True)])

text = "a12<|sep|>"
end = vocab["12"] + 1
expected = {
    "file": ["a", "1", "2", "<|sep|>"],
    "PreTrainedTokenizerFast": ["a", "1", "2", "<|sep|>"],
    "GPT2Tokenizer": ["a", "12", "<", "|", "s", "e", "p", "|", ">"],
}
seen = {"file": tokenizer.encode(text, add_special_tokens=False).tokens}
for name in ["PreTrainedTokenizerFast", "GPT2Tokenizer"]:
    folder = Path(name)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    flags = dict(content="<|endoftext|>", special=True, lstrip=False, rstrip=False, single_word=False, normalized=False)
    config = {"tokenizer_class": name, "added_tokens_decoder": {str(end): flags}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    seen[name] = AutoTokenizer.from_pretrained(folder).tokenize(text)
for name, tokens in seen.items():
    print(f"{name:24} {tokens}")
raise SystemExit(seen != expected)
PY
venv/bin/python run.py
