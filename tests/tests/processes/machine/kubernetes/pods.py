"""Runs the pods of the chart as Kubernetes would: each container with its user, a root that it cannot write, and its volumes.

pods.py MANIFESTS PROGRAMS CONTAINERFILES prints what happened, as JSON. It needs root, and namespaces of its own for mounts, processes
and the network, which end with it.
"""

import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import yaml

USER = 65532
# Seconds until a wait has failed.
PATIENCE = 120
SPEC = """
name = "small"
checkpoint_every_s = 0.1
[data]
dataset = "synthetic-digits"
[train]
optimizer = "adam"
learning_rate = 1e-3
eval_every = 100
max_updates = 400
[grid]
rule = ["bp", "fa", "dtp"]
network = "dn"
depth = 3
"""


def run(*command, **more) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), check=True, **more)


def until(what: str, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"waited in vain until {what}")


def mount(source, target: Path, *options: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(source).is_dir():
        target.mkdir(exist_ok=True)
    elif not target.exists():
        target.touch()
    run("mount", "--bind", source, target)
    if options:
        run("mount", "-o", ",".join(("remount", "bind", *options)), target)


class Image:
    """The programs in a root, as the Containerfile puts them there."""

    def __init__(self, containerfile: Path, program: Path):
        text = containerfile.read_text(encoding="utf-8")
        self.program = program
        self.entrypoint = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1])
        self.user = re.search(r"^USER (\S+)$", text, re.MULTILINE)[1]
        (variables,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
        path = "/usr/local/bin:/usr/bin:/bin"
        self.env = dict(pair.split("=", 1) for pair in shlex.split(variables.replace("$PATH", path)))

    def root(self, root: Path, hosts: Path) -> None:
        root.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "tmpfs", root)
        for name in ("usr", "bin", "sbin", "lib", "lib64", "etc"):
            path = Path("/", name)
            if path.is_symlink():
                (root / name).symlink_to(os.readlink(path))
            elif path.exists():
                mount(path, root / name, "ro")
        mount(hosts, root / "etc/hosts", "ro")
        mount(self.program, root / self.entrypoint[0].lstrip("/"), "ro")
        for library in self.libraries():
            if not (root / library.relative_to("/")).exists():
                mount(library, root / library.relative_to("/"), "ro")
        for name in ("null", "zero", "random", "urandom"):
            mount(f"/dev/{name}", root / "dev" / name)
        (root / "proc").mkdir()
        run("mount", "-t", "proc", "proc", root / "proc")

    def libraries(self) -> set[Path]:
        """The folders of its libraries that are not part of the system, such as libtorch."""
        printed = run("ldd", self.program, text=True, capture_output=True).stdout
        found = {Path(path).parent for path in re.findall(r"=> (/\S+)", printed)}
        return {path for path in found if not re.match(r"/(usr/)?lib", str(path))}


class Pod:
    def __init__(self, place: Path, name: str, owner: dict, image: Image, secrets: dict, hosts: Path):
        self.place, self.name, self.image, self.hosts, self.secrets = place / name, name, image, hosts, secrets
        self.spec = owner["spec"]["template"]["spec"]
        self.volumes = {}
        claims = [{"name": claim["metadata"]["name"]} for claim in owner["spec"].get("volumeClaimTemplates", [])]
        for volume in self.spec["volumes"] + claims:
            folder = self.place / "volumes" / volume["name"]
            folder.mkdir(parents=True)
            # As fsGroup does.
            os.chown(folder, 0, USER)
            folder.chmod(0o2775)
            for item in volume.get("secret", {}).get("items", []):
                file = folder / item["path"]
                file.write_bytes(secrets[volume["secret"]["secretName"]][item["key"]])
                os.chown(file, 0, USER)
                file.chmod(volume["secret"]["defaultMode"])
            self.volumes[volume["name"]] = folder
        for container in self.spec["initContainers"]:
            code = self.start(container).wait(PATIENCE)
            if code != 0:
                sys.exit(f"the container {container['name']} of {name} ended with {code}")

    def root(self, container: dict) -> Path:
        root = self.place / "roots" / container["name"]
        if not root.exists():
            self.image.root(root, self.hosts)
            for one in container["volumeMounts"]:
                options = ["ro"] if one.get("readOnly") else []
                mount(self.volumes[one["name"]], root / one["mountPath"].lstrip("/"), *options)
            run("mount", "-o", "remount,ro", root)
        return root

    def env(self, container: dict) -> dict:
        env = dict(self.image.env)
        for one in container.get("env", []):
            source = one.get("valueFrom", {})
            if "fieldRef" in source:
                env[one["name"]] = {"metadata.name": self.name}[source["fieldRef"]["fieldPath"]]
            else:
                env[one["name"]] = one["value"]
        return env

    def execute(self, container: dict, command: list[str], **more) -> subprocess.Popen:
        env = self.env(container)
        enter = ["chroot", f"--userspec={self.image.user}", str(self.root(container)), "env", "-i"]
        return subprocess.Popen([*enter, *(f"{name}={value}" for name, value in env.items()), *command], **more)

    def start(self, container: dict, **more) -> subprocess.Popen:
        env = self.env(container)
        args = [re.sub(r"\$\((\w+)\)", lambda name: env[name[1]], arg) for arg in container["args"]]
        return self.execute(container, [*container.get("command", self.image.entrypoint), *args], **more)

    def begin(self) -> subprocess.Popen:
        log = (self.place / "log").open("ab")
        return self.start(self.spec["containers"][0], stdout=log, stderr=log)

    def exec(self, script: str) -> str:
        """As `kubectl exec POD -- sh -c SCRIPT` does."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = self.execute(self.spec["containers"][0], ["sh", "-c", script], **pipes)
        printed, errors = process.communicate(timeout=PATIENCE)
        if process.returncode != 0:
            sys.exit(f"{script}: {process.returncode}\n{printed}{errors}{(self.place / 'log').read_text()}")
        return printed


def listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def protocol_for_keda(place: Path, host: str, certificates: Path) -> str:
    """Connects as KEDA does: it checks the name of the server, and has a certificate of its own."""
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(place / "client.pem", place / "client.key")
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, 7465)) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        return secure.selected_alpn_protocol()


def main() -> None:
    manifests, programs, containerfiles = map(Path, sys.argv[1:])
    place = manifests.parent
    objects = [one for one in yaml.safe_load_all(manifests.read_text(encoding="utf-8")) if one is not None]
    (stateful,) = [one for one in objects if one["kind"] == "StatefulSet"]
    (job,) = [one for one in objects if one["kind"] == "Job"]
    (service,) = [one for one in objects if one["kind"] == "Service"]
    run("ip", "link", "set", "lo", "up")
    host = f"{service['metadata']['name']}.lab.svc"
    hosts = place / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {host}\n", encoding="utf-8")
    run("mount", "--bind", hosts, "/etc/hosts")

    certificates = place / "certs"
    run(programs / "biosweep", "certs", "init", certificates, "--home", place / "home", stdout=subprocess.DEVNULL)
    secrets = {"biosweep-certs": {name: (certificates / name).read_bytes() for name in ("ca.pem", "ca.key")}}
    image = Image(containerfiles / "coordinator.Containerfile", programs / "biosweep")
    coordinator = Pod(place, "biosweep-0", stateful, image, secrets, hosts)
    serving = coordinator.begin()
    until("the coordinator serves", lambda: serving.poll() is not None or listens(7465) and listens(7466))

    create = f"biosweep token create --certs /run/biosweep --role worker --expires never --to /tmp/worker.json --address https://{host}:7465"
    connection = coordinator.exec(f"{create} >&2 && cat /tmp/worker.json && rm /tmp/worker.json")
    coordinator.exec(f"cat >/tmp/small.toml <<'END'\n{SPEC}\nEND\nbiosweep submit /tmp/small.toml")
    client = "biosweep certs client /run/biosweep --role viewer --certificate /tmp/client.pem --key /tmp/client.key"
    for name in ("client.pem", "client.key"):
        (place / name).write_text(coordinator.exec(f"test -f /tmp/{name} || {client} >&2; cat /tmp/{name}"), encoding="utf-8")
    protocol = protocol_for_keda(place, host, certificates)

    secrets["biosweep-worker"] = {"connection.json": connection.encode()}
    image = Image(containerfiles / "worker.Containerfile", programs / "biosweep-worker")
    first = Pod(place, "biosweep-cpu-0-aaaaa", job, image, secrets, hosts)
    training = first.begin()
    show = lambda: json.loads(coordinator.exec("biosweep show small --output json"))
    until("a worker trains", lambda: training.poll() is not None or show()["running"] > 0)
    training.send_signal(signal.SIGTERM)
    codes = [training.wait(PATIENCE)]
    second = Pod(place, "biosweep-cpu-0-bbbbb", job, image, secrets, hosts)
    codes.append(second.begin().wait(PATIENCE))
    results = json.loads(coordinator.exec("biosweep results small --output json"))
    try_to_write = "for place in /x /usr/x /etc/x /run/secrets; do touch $place 2>/dev/null && echo $place; done; id -u"
    written = coordinator.exec(try_to_write).split()
    serving.send_signal(signal.SIGTERM)
    report = {
        "protocol": protocol,
        "worker_codes": codes,
        "completed": sum(row["status"] == "completed" for row in results),
        "workers": sorted({row["worker"] for row in results}),
        "user_and_written": written,
        "coordinator_code": serving.wait(stateful["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]),
        "logs": {pod.name: (pod.place / "log").read_text(encoding="utf-8") for pod in (coordinator, first, second)},
    }
    print(json.dumps(report))


main()
