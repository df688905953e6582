"""Downloads, from a small hub on the loopback interface."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants, utils
from random_pipelines import random_controlnet, random_tiny_vae, save, stable_diffusion

from texcsd.errors import TexcsdError
from texcsd.guidance import denoiser, hub
from texcsd.guidance.denoiser import load_denoiser

COMMIT = "c0ffee" + "0" * 34


class FakeHub(ThreadingHTTPServer):
    """Serves folders as repositories: the listing and the files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.requests: list[str] = []
        self.fetched: list[str] = []
        self.resumed: list[str] = []
        """What was asked for from some byte on."""
        self.cut_off_after: int | None = None
        """The byte of every safetensors file before which the connection breaks."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def log_message(self, *arguments) -> None:
        pass

    def answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append(path)
        about = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/.*|/tree/.*)?", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        repository = (about or resolve or [None, None])[1]
        if repository not in self.server.repositories:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, with_body)
        elif resolve and repository in self.server.gated:
            self.send(403, b"{}", {"X-Error-Code": "GatedRepo"}, with_body)
        elif resolve:
            self.send_file(self.server.repositories[repository] / resolve[2], with_body)
        else:
            assert about
            tree = (about[2] or "").startswith("/tree")
            self.send(200, json.dumps(self.listing(repository, tree)).encode(), {}, with_body)

    def listing(self, repository: str, tree: bool):
        folder = self.server.repositories[repository]
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        if not tree:
            return {
                "id": repository, "sha": COMMIT, "siblings": [{"rfilename": n} for n in names],
            }  # fmt: skip
        sizes = [path.stat().st_size for path in files]
        return [
            {"type": "file", "path": name, "size": size, "oid": "0" * 40}
            for name, size in zip(names, sizes, strict=True)
        ]

    def send_file(self, path: Path, with_body: bool) -> None:
        if not path.is_file():
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
        content = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        status, limit = 200, self.server.cut_off_after if path.suffix == ".safetensors" else None
        if with_body:
            self.server.fetched.append(path.as_posix())
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted:
            self.server.resumed.append(path.name)
            status, total, content = 206, len(content), content[int(wanted[1]) :]
            headers["Content-Range"] = f"bytes {wanted[1]}-{total - 1}/{total}"
            limit = None if limit is None else max(0, limit - int(wanted[1]))
        self.send(status, content, headers, with_body, limit)

    def send(self, status, body, headers, with_body, limit=None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if not with_body:
            return
        self.wfile.write(body[:limit])
        if limit is not None:
            self.close_connection = True


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """A model with all that real repositories have besides, and a ControlNet."""
    folder = tmp_path_factory.mktemp("repositories")
    model = save(stable_diffusion(), folder / "model")
    (model / "README.md").write_text("---\nlicense: creativeml-openrail-m\n---\n")
    save(stable_diffusion().to(dtype=denoiser.torch.float16), folder / "half", variant="fp16")
    for part in ("unet", "vae"):
        (weights,) = (folder / "half" / part).glob("*.safetensors")
        shutil.copy(weights, model / part)
        (model / part / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (model / "model.ckpt").write_bytes(b"pickle")
    (model / "whole-model.safetensors").write_bytes(b"the same again")
    (model / "unet" / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"not needed")
    (model / "setup.py").write_text("raise SystemExit")
    return folder, save(random_controlnet(), folder / "control")


@pytest.fixture
def fake_hub(repositories, tmp_path, monkeypatch):
    folder, control = repositories
    server = FakeHub()
    server.repositories = {
        "someone/model": folder / "model",
        "someone/half": folder / "half",
        "someone/control": control,
    }
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def refused(model, **options):
    with pytest.raises(TexcsdError) as caught:
        load_denoiser(model, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def names(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in files}


def test_only_what_is_needed_is_downloaded(fake_hub):
    loaded = load_denoiser("someone/model")
    assert loaded.licence == "creativeml-openrail-m"
    assert names(hub.resolve_model("someone/model", offline=True)) == {
        "README.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }


def test_half_precision_is_taken_where_there_is_nothing_else(fake_hub):
    load_denoiser("someone/half")
    fetched = {Path(path).name for path in fake_hub.fetched if path.endswith("safetensors")}
    assert fetched == {"diffusion_pytorch_model.fp16.safetensors", "model.fp16.safetensors"}


def test_a_second_time_nothing_is_downloaded_and_offline_nothing_is_asked(fake_hub):
    first = load_denoiser("someone/model", controlnet="someone/control")
    fake_hub.fetched.clear()
    again = load_denoiser("someone/model", controlnet="someone/control")
    assert again.weights_sha256 == first.weights_sha256 and fake_hub.fetched == []
    fake_hub.requests.clear()
    load_denoiser("someone/model", controlnet="someone/control", offline=True)
    assert fake_hub.requests == []


def test_without_a_network_what_was_downloaded_is_used(fake_hub, monkeypatch):
    load_denoiser("someone/model")
    # A port at which nobody listens.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    load_denoiser("someone/model")
    message = refused("someone/other")
    assert "not in the cache, or not all of it, and the hub cannot be reached" in message


def test_offline_what_was_never_downloaded_is_refused(fake_hub, monkeypatch):
    message = refused("someone/model", offline=True)
    assert "is not in the cache, or not all of it; download it without --offline" in message
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused("someone/model") == message
    assert fake_hub.requests == []


def test_a_download_that_breaks_off_is_said_and_goes_on_with_what_is_missing(fake_hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # What is written at once: 10 MB.
    fake_hub.cut_off_after = 5000
    message = refused("someone/model")
    assert "download failed" in message
    assert message.endswith("the same command goes on with the files that are missing")
    assert fake_hub.resumed  # It was tried again, from the bytes on that were there.
    assert "not in the cache, or not all of it" in refused("someone/model", offline=True)
    assert any(path.endswith(".json") for path in fake_hub.fetched)
    fake_hub.cut_off_after = None
    fake_hub.fetched.clear()
    load_denoiser("someone/model")
    assert {Path(path).suffix for path in fake_hub.fetched} == {".safetensors"}


def test_a_missing_repository_is_one_line(fake_hub):
    message = refused("someone/nothing")
    assert 'model "someone/nothing": no such folder, and no such repository on the hub' in message
    assert "no such repository" in refused("someone/model", controlnet="someone/nothing")
    assert "no such repository" in refused("some..one/model")


def test_a_gated_repository_says_where_to_accept_its_licence(fake_hub):
    fake_hub.gated.add("someone/model")
    message = refused("someone/model")
    assert f"accepted, at {fake_hub.endpoint}/someone/model; then log in" in message


def test_tiny_means_the_tiny_autoencoder_of_the_models_latents(fake_hub, tmp_path):
    fake_hub.repositories["madebyollin/taesd"] = save(random_tiny_vae(), tmp_path)
    denoiser = load_denoiser("someone/model", vae="tiny")
    assert type(denoiser.vae).__name__ == "AutoencoderTiny"


def test_a_repository_with_nothing_but_pickles_is_refused(fake_hub, repositories, tmp_path):
    folder = shutil.copytree(repositories[0] / "model", tmp_path / "pickled")
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    fake_hub.repositories["someone/pickled"] = folder
    message = refused("someone/pickled")
    assert "its unet has no weights, and texcsd reads none but safetensors" in message
    assert not [path for path in fake_hub.fetched if path.endswith((".bin", ".ckpt"))]


def test_a_name_stands_for_a_model_with_its_controlnet(fake_hub, monkeypatch):
    monkeypatch.setitem(hub.HUB_IDS, "stable-diffusion-1.5", "someone/model")
    monkeypatch.setitem(hub.DEFAULT_CONTROLNETS, "stable-diffusion-1.5", "someone/control")
    assert load_denoiser("stable-diffusion-1.5").controlnet is not None
    assert load_denoiser("stable-diffusion-1.5", controlnet="none").controlnet is None


def test_a_folder_comes_before_a_repository_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(stable_diffusion(), tmp_path / "someone" / "model")
    load_denoiser("someone/model", offline=True)


def test_a_folder_of_results_with_a_models_name_is_not_taken_for_the_model(
    fake_hub, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(hub.HUB_IDS, "sdxl", "someone/model")
    (tmp_path / "sdxl").mkdir()
    assert load_denoiser("sdxl", controlnet="none").name == "sdxl"


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("before", [utils.enable_progress_bars, utils.disable_progress_bars])
def test_downloads_show_how_far_they_are_unless_told_not_to(fake_hub, capfd, shown, before):
    """Also a second model of a process: transformers switches it off when it loads the first."""
    before()
    disabled = utils.are_progress_bars_disabled()
    with hub.progress_shown(shown):
        load_denoiser("someone/model")
    assert ("Fetching" in capfd.readouterr().err) == shown
    assert utils.are_progress_bars_disabled() == disabled


@pytest.mark.parametrize("name", ["./model", "model", "/a/b", "a/b/c", "../b"])
def test_what_looks_like_a_path_is_never_asked_of_the_hub(fake_hub, name):
    assert "no such folder" in refused(name)
    assert fake_hub.requests == []


def test_the_environment_says_where_hub_and_cache_are(fake_hub, tmp_path):
    program = "from texcsd.guidance import hub; print(hub.resolve_model('someone/model', False))"
    environment = os.environ | {"HF_ENDPOINT": fake_hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    path = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(path).is_relative_to(tmp_path / "home")
    assert (Path(path) / "unet" / "diffusion_pytorch_model.safetensors").is_file()
