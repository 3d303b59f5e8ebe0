#!/usr/bin/env bash
# huggingface_hub 2.4.0 with HF_HUB_DISABLE_SYMLINKS=1: a file that did not change is downloaded again with every commit.
# Guess: the documentation says that files are copied instead of linked, so the blob stays in blobs/ and the snapshot is
# a copy; a new commit with the same file then costs a HEAD and no bytes, as it does with links.
# Seen: a new blob is moved into the snapshot, blobs/ stays empty, and under the next commit the same file (same etag) is
# fetched whole again:
#   links:    GETs 1, blobs 1
#   no links: GETs 2, blobs 0
# On a file system without symbolic links (some network mounts) each push to a model's repository, also one of its README,
# makes the next load fetch every file of the model.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet huggingface_hub==2.4.0
cat > serve.py <<'PY'
"""A hub with one file in one repository, whose branch moves to another commit when /push is asked for."""
import http.server, sys, threading

BODY, state = b"the same bytes", {"commit": "1" * 40, "gets": 0}

class Hub(http.server.BaseHTTPRequestHandler):
    def answer(self, send):
        if self.path == "/push":
            state["commit"] = "2" * 40
        elif self.path == "/gets":
            self.send_response(200); self.end_headers(); self.wfile.write(str(state["gets"]).encode()); return
        elif "/resolve/" not in self.path:
            self.send_response(404); self.end_headers(); return
        elif send:
            state["gets"] += 1
        self.send_response(200)
        self.send_header("ETag", '"' + "a" * 40 + '"')
        self.send_header("X-Repo-Commit", state["commit"])
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if send:
            self.wfile.write(BODY)
    def do_HEAD(self): self.answer(False)
    def do_GET(self): self.answer(True)
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
cat > fetch.py <<'PY'
import sys, urllib.request
from pathlib import Path
from huggingface_hub import hf_hub_download
from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

hf_hub_download("owner/model", "weights.bin")
urllib.request.urlopen(f"{ENDPOINT}/push").read()
hf_hub_download("owner/model", "weights.bin")
gets = urllib.request.urlopen(f"{ENDPOINT}/gets").read().decode()
blobs = [path for path in Path(HF_HUB_CACHE).glob("models--*/blobs/*") if path.is_file()]
print(f"GETs {gets}, blobs {len(blobs)}")
PY
try() {
  coproc venv/bin/python serve.py
  read -r port <&"${COPROC[0]}"
  env HF_HOME="$folder/$1" HF_HUB_DISABLE_PROGRESS_BARS=1 HF_ENDPOINT="http://127.0.0.1:$port" "${@:2}" venv/bin/python fetch.py
  kill "$COPROC_PID"
  wait "$COPROC_PID" 2>/dev/null || true
}
links=$(try links env)
copies=$(try copies env HF_HUB_DISABLE_SYMLINKS=1)
printf 'links:    %s\nno links: %s\n' "$links" "$copies"
[ "$links" = "GETs 1, blobs 1" ] && [ "$copies" = "GETs 2, blobs 0" ]
