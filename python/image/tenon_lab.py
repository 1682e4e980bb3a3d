"""The jupyter image starts JupyterLab on 8888, never open to everybody, and TensorBoard on 6006.

    tenon-lab [JUPYTERLAB'S ARGUMENTS]

JUPYTER_TOKEN (or JUPYTER_TOKEN_FILE) is the token; without one Jupyter makes one and writes it to
the log. TENSORBOARD_LOGDIR is the folder that TensorBoard shows; empty: it is not started.
"""
import os
import subprocess
import sys
import tempfile

from jupyter_server.auth.identity import PasswordIdentityProvider

ROOT, WORK = "/tf", "/tf/workspace"
ARGUMENTS = ["--ServerApp.ip=0.0.0.0", "--ServerApp.port=8888", "--ServerApp.port_retries=0",
             "--ServerApp.open_browser=False", f"--ServerApp.root_dir={ROOT}",
             f"--ServerApp.preferred_dir={WORK}", "--ServerApp.terminals_enabled=False",
             "--ServerApp.identity_provider_class=tenon_lab.TokenRequired"]


class TokenRequired(PasswordIdentityProvider):
    """Jupyter's own, but for a server without token and password, which does not start."""

    def validate_security(self, app, ssl_options=None):
        if not self.auth_enabled:
            raise SystemExit("tenon-lab: a server without token and password runs everybody's "
                             "code. Leave the token out, and one is made; or set JUPYTER_TOKEN.")
        super().validate_security(app, ssl_options)


def start_tensorboard():
    folder = os.environ.get("TENSORBOARD_LOGDIR", "")
    if not folder:
        return None
    return subprocess.Popen([sys.executable, "-m", "tensorboard.main", "--logdir", folder,
                             "--bind_all", "--port", "6006", "--load_fast=false"],
                            stdin=subprocess.DEVNULL)


def main():
    # A user id that the platform chose, or a read-only root: settings need a place all the same.
    if not os.access(os.path.expanduser("~"), os.W_OK):
        os.environ["HOME"] = tempfile.mkdtemp(prefix="home-")
    from jupyterlab.labapp import LabApp
    board = start_tensorboard()
    try:
        LabApp.launch_instance(ARGUMENTS + sys.argv[1:])
    finally:
        if board is not None:
            board.terminate()
            board.wait()


if __name__ == "__main__":
    main()
