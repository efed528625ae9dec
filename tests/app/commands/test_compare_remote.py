"""`demur compare --url` against a server that is slow to take a comparison."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app.commands.compare_remote import RemoteRefusal, run_there
from app.compare.spec import parse_spec

SPEC = parse_spec({"arms": [{"name": "greedy", "strategy": {"kind": "greedy"}}]})
ERROR = b'{"error": {"message": "no such arm"}}'


class Slow(BaseHTTPRequestHandler):
    """Loads models before it refuses."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(1)
        self.send_response(400)
        self.send_header("content-length", str(len(ERROR)))
        self.end_headers()
        self.wfile.write(ERROR)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_that_loads_models_for_long_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.commands.compare_remote._SILENCE_SECONDS", 0.05)
    with HTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(RemoteRefusal, match="no such arm"):
                run_there(SPEC, tmp_path / "run", f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
