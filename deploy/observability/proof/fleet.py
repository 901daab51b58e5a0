"""The processes of the proof: each in one folder, on loopback, and ended by its pid."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
BINARIES = ROOT / "target/debug"
PROVIDERS = ("telyport", "dash")
# The sink's connection: to a stand-in that has every order, which Telyport's samples name so. It may send as much as comes.
MANY = "1000000"
CONNECTION = {
    "TOKEN": "sample-token-hubrise",
    "LOCATIONS": '["3r4s3-1"]',
    "ACCOUNTS": '["telyport/default"]',
    "PATTERN": "{order}-0",
    "PER_MINUTE": MANY,
    "PER_HOUR": MANY,
    "PER_DAY": MANY,
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, ask, seconds=60):
    """What `ask` returns as soon as that is true. Errors of a server that is still starting are waited out."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            if last := ask():
                return last
        except OSError as error:
            last = error
        time.sleep(0.2)
    raise TimeoutError(f"not within {seconds} s: {what} (last: {last})")


class Sink:
    """Where Alertmanager sends to: keeps what it was sent."""

    def __init__(self):
        self.alerts = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.alerts += sent["alerts"]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


class Fleet:
    """A receiver, workers, the HubRise sink and a stand-in for HubRise, RabbitMQ, Redis, Prometheus and Alertmanager."""

    def __init__(self, folder):
        self.folder, self.processes, self.sink = Path(folder), [], Sink()
        self.http, self.prometheus_port, self.alertmanager_port = free_port(), free_port(), free_port()
        self.hubrise = f"127.0.0.1:{free_port()}"
        self.prometheus = f"http://127.0.0.1:{self.prometheus_port}"

    def __enter__(self):
        try:
            self.servers("start")
            self.env = dict(line.split("=", 1) for line in (self.folder / "servers/env").read_text().splitlines())
            roles = ("receiver", *(f"worker-{provider}" for provider in PROVIDERS), "sink-hubrise")
            admin = {role: free_port() for role in roles}
            self.stand_in()
            for role, port in admin.items():
                self.role(role, port)
            self.observe(list(admin.values()))
            for port in admin.values():
                eventually(f"port {port} is ready", lambda port=port: get(f"http://127.0.0.1:{port}/readyz"))
            return self
        except BaseException as error:
            self.__exit__(error)
            raise

    def __exit__(self, error=None, *_):
        for process in self.processes[::-1]:
            self.end(process)
        if error:
            self.tell()
        self.sink.server.shutdown()
        for command in ("kill-rabbit", "kill-redis", "stop"):
            self.servers(command, check=False)

    def tell(self):
        """Shows the end of each process's log."""
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-5:]
            print(f"-- {log.name}", *lines, sep="\n", file=sys.stderr)

    def servers(self, command, check=True):
        subprocess.run([ROOT / "deploy/local/servers", command, self.folder / "servers"], check=check)

    def spawn(self, name, *command, env=None):
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self.processes.append(process)
        return process

    def end(self, process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)

    def role(self, role, admin_port):
        env = {
            "PATH": os.environ["PATH"],
            "MILEPOST_ADMIN_ADDR": f"127.0.0.1:{admin_port}",
            "MILEPOST_HTTP_ADDR": f"127.0.0.1:{self.http}",
            "MILEPOST_AMQP_URL": self.env["MILEPOST_AMQP_URL"],
            "MILEPOST_REDIS_URL": self.env["MILEPOST_REDIS_URL"],
            "MILEPOST__WORKER__DRAIN_DEADLINE_MS": "1000",
            "MILEPOST__LOG__FILTER": "warn",
        }
        for provider in PROVIDERS:
            env[f"MILEPOST__PROVIDERS__{provider.upper()}__ACCOUNTS__DEFAULT__SECRETS"] = json.dumps(
                [f"sample-secret-{provider}"]
            )
        if role == "sink-hubrise":
            connection = CONNECTION | {"BASE_URL": f"http://{self.hubrise}/v1"}
            env |= {f"MILEPOST__SINKS__HUBRISE__CONNECTIONS__SAMPLE__{key}": value for key, value in connection.items()}
        self.spawn(role, BINARIES / f"milepost-{role}", env=env)

    def stand_in(self):
        limits = (word for window in ("minute", "hour", "day") for word in (f"--per-{window}", MANY))
        self.spawn(
            "hubrise", BINARIES / "milepost", "fake", "hubrise", "--listen", self.hubrise, "--any-order", *limits
        )

    def observe(self, admin_ports):
        """Prometheus with the shipped configuration and rules, but for the pace: a proof has no minutes to wait."""
        shutil.copytree(HERE / "rules", self.folder / "rules")
        for path in (self.folder / "rules").glob("*.yml"):
            rules = re.sub(r"^( +for:) .*$", r"\1 10s", path.read_text(), flags=re.MULTILINE)
            path.write_text(re.sub(r"^( +interval:) .*$", r"\1 2s", rules, flags=re.MULTILINE))
        config = (HERE / "prometheus.yml").read_text()
        for key, pace in (("scrape_interval", "1s"), ("scrape_timeout", "1s"), ("evaluation_interval", "2s")):
            config = re.sub(rf"^  {key}: .*$", f"  {key}: {pace}", config, flags=re.MULTILINE)
        (self.folder / "prometheus.yml").write_text(config)
        rabbit = self.env["MILEPOST_RABBIT_PROMETHEUS_URL"].removeprefix("http://")
        targets = {
            "milepost": [f"127.0.0.1:{port}" for port in admin_ports],
            "rabbitmq": [rabbit],
            "alertmanager": [f"127.0.0.1:{self.alertmanager_port}"],
        }
        (self.folder / "targets").mkdir()
        for name, addresses in targets.items():
            (self.folder / f"targets/{name}.json").write_text(json.dumps([{"targets": addresses}]))
        (self.folder / "alertmanager.yml").write_text(
            json.dumps(
                {
                    "route": {"receiver": "sink", "group_by": ["alertname"], "group_wait": "1s"},
                    "receivers": [{"name": "sink", "webhook_configs": [{"url": self.sink.url}]}],
                }
            )
        )
        alertmanager = shutil.which("prometheus-alertmanager") or "alertmanager"
        self.spawn(
            "alertmanager",
            alertmanager,
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{self.alertmanager_port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        )
        self.spawn(
            "prometheus",
            "prometheus",
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.prometheus_port}",
            "--log.level=warn",
        )
        eventually("Prometheus is ready", lambda: get(f"{self.prometheus}/-/ready"))

    def send(self, provider, *options):
        """Webhooks from the provider, until ended."""
        return self.spawn(
            f"send-{provider}",
            BINARIES / "milepost",
            "send",
            provider,
            "--to",
            f"http://127.0.0.1:{self.http}",
            "--count",
            "1000000",
            *options,
            env={"PATH": os.environ["PATH"]},
        )

    def manage(self, method, path, body=None):
        """Asks RabbitMQ's management API."""
        request = urllib.request.Request(
            self.env["MILEPOST_RABBIT_MANAGEMENT_URL"] + "/api" + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="},
        )
        urllib.request.urlopen(request, timeout=10).close()


def get(url):
    """The answer to a GET; raises unless it is a success."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read() or True
