"""The Khronos glTF validator, if node and the npm package gltf-validator are installed."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

SCRIPT = """
const validator = require('gltf-validator'), fs = require('fs'), path = require('path');
const file = process.argv[1], folder = path.dirname(file);
// Not the Buffer itself: small ones share their memory with others, which the validator overlooks.
const bytes = name => new Uint8Array(fs.readFileSync(name));
const read = uri => Promise.resolve(bytes(path.join(folder, decodeURIComponent(uri))));
validator.validateBytes(bytes(file), {externalResourceFunction: read, maxIssues: 0})
  .then(report => console.log(JSON.stringify(report)), error => { throw error; });
"""


@functools.cache
def modules() -> str | None:
    """The folder to find the package in: NODE_PATH, or where npm installs for all."""
    if shutil.which("node") is None:
        return None
    folders = os.environ.get("NODE_PATH", "").split(os.pathsep)
    if (npm := shutil.which("npm")) is not None:
        found = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False)
        folders.append(found.stdout.strip())
    return next((f for f in folders if f and Path(f, "gltf-validator").is_dir()), None)


def error_codes(path: Path) -> set[str]:
    """The kinds of errors in a GLB or glTF file."""
    environment = os.environ | {"NODE_PATH": modules() or ""}
    command = ["node", "-e", SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    messages = json.loads(done.stdout)["issues"]["messages"]
    return {issue["code"] for issue in messages if issue["severity"] == 0}
