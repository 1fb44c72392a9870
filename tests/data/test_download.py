import hashlib
import http.server
import threading

import pytest

from robustmeta.data.download import download
from robustmeta.errors import RobustMetaError

BODY = bytes(range(256)) * 5000
MD5 = hashlib.md5(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: len(BODY) // 2] if self.path == "/broken" else BODY)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_file_arrives_whole_in_a_new_folder(server, tmp_path):
    target = tmp_path / "new" / "file.zip"
    assert download(f"{server}/file.zip", target, MD5) == target
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("path", "md5", "line"),
    [
        ("/file", "0" * 32, f"has md5 {MD5} instead of {'0' * 32}"),
        ("/broken", MD5, f"instead of {MD5}|IncompleteRead"),
        ("/missing", MD5, "cannot download .* put the file at"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left(server, tmp_path, path, md5, line):
    with pytest.raises(RobustMetaError, match=line) as caught:
        download(server + path, tmp_path / "file.zip", md5)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_one_line(tmp_path):
    with pytest.raises(RobustMetaError, match=r"cannot download .* check the network"):
        download("http://127.0.0.1:1/file.zip", tmp_path / "file.zip", MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RobustMetaError, match=r"cannot write .* choose a writable folder"):
        download("http://127.0.0.1:1/file.zip", tmp_path / "file" / "a" / "file.zip", MD5)
