"""A real Apache Kafka of one node, from its jars: fetched by Maven once, started in about four seconds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from . import java

HERE = Path(__file__).parent
VERSION = "4.4.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastfeat" / f"kafka-{VERSION}"
# A fixed id: one that begins with `-` is no id to the format tool.
CLUSTER = "fastfeatTestCluster00w"
START_SECONDS_MAX = 60
WAY_OUT = "or set FASTFEAT_TEST_KAFKA=host:port of a Kafka 4 that tests may fill"
# Quick to start: the tests share two cores with it.
SMALL = ("-Xmx512m", "-Xms256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{more_listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{more_advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
"""


SECURE = """
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.ssl.keystore.location={store}
listener.name.secure.ssl.keystore.password={password}
listener.name.secure.ssl.keystore.type=PKCS12
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:worker
"""
PASSWORD = "s3cret-of-tests"
USERS = ("worker", "stranger", "limited")
"""The first may do anything, the others nothing but what they are granted."""


class BrokerError(Exception):
    """There can be no broker here; the message says what is missing and the way out."""


def jars() -> Path:
    """The folder of jars, fetched if it is not there."""
    if any(CACHE.glob("kafka_2.13-*.jar")):
        return CACHE
    if shutil.which("mvn") is None:
        raise BrokerError(f"the broker tests need `mvn` to fetch Kafka: apt-get install maven, {WAY_OUT}")
    part = CACHE.with_name(f"{CACHE.name}.{os.getpid()}.part")
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies",
               f"-DoutputDirectory={part}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=java.environment())
    if done.returncode != 0:
        raise BrokerError(f"Maven could not fetch Kafka {VERSION}, {WAY_OUT}:\n{done.stdout[-2_000:]}")
    if CACHE.exists():
        shutil.rmtree(part)
    else:
        part.rename(CACHE)
    return CACHE


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Broker:
    """One node. `kill` and `stop` leave its log, `start` goes on from it.

    `proxied`: a port to listen on, and the port that it tells those to use who come there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        proxied: tuple[int, int] | None = None,
        secure: bool = False,
        options: Sequence[str] = SMALL,
    ) -> None:
        try:
            self.java = java.program("java")
        except java.JavaError as error:
            raise BrokerError(f"{error}\n{WAY_OUT}") from error
        self.folder, self.options = folder, options
        self.port, self.controller = free_port(), free_port()
        listener, advertised = proxied or (0, 0)
        self.properties = folder / "server.properties"
        self.properties.write_text(
            PROPERTIES.format(
                port=self.port,
                controller=self.controller,
                data=folder / "log",
                more_listeners=f",PROXIED://127.0.0.1:{listener}" if proxied else "",
                more_advertised=f",PROXIED://127.0.0.1:{advertised}" if proxied else "",
            )
        )
        self.process: subprocess.Popen[bytes] | None = None
        scram = self._secure() if secure else []
        self._java(
            "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER, "-c", str(self.properties), *scram
        )

    def _secure(self) -> list[str]:
        """A door with TLS and SASL: its port, its certificate, its users."""
        self.secure_port, store = free_port(), self.folder / "store.p12"
        self.certificate = self.folder / "certificate.pem"
        keytool = [
            java.program("keytool"),
            "-keystore",
            str(store),
            "-storetype",
            "PKCS12",
            "-storepass",
            PASSWORD,
            "-alias",
            "broker",
        ]
        made = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=broker", "-ext", "san=ip:127.0.0.1,dns:localhost"]
        for command in ([*keytool, *made], [*keytool, "-exportcert", "-rfc", "-file", str(self.certificate)]):
            subprocess.run(command, capture_output=True, check=True)
        text = self.properties.read_text()
        for line in ("listeners", "advertised.listeners"):
            text = re.sub(rf"(?m)^({re.escape(line)}=.*)$", rf"\1,SECURE://127.0.0.1:{self.secure_port}", text)
        users = " ".join(f'user_{user}="{PASSWORD}"' for user in USERS)
        text = re.sub(r"(?m)^listener.security.protocol.map=.*$", "", text)
        self.properties.write_text(text + SECURE.format(store=store, password=PASSWORD, users=users))
        kinds = [(kind, user) for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512") for user in USERS]
        return [part for k, user in kinds for part in ("--add-scram", f"{k}=[name={user},password={PASSWORD}]")]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _command(self, *arguments: str) -> list[str]:
        return [self.java, *self.options, "-cp", f"{jars()}/*", *arguments]

    def _java(self, *arguments: str) -> None:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BrokerError(f"{arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")

    def start(self) -> Broker:
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command("kafka.Kafka", str(self.properties)), stdout=log, stderr=log, start_new_session=True
            )
        begun = time.monotonic()
        while time.monotonic() - begun < START_SECONDS_MAX:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.1)
        raise BrokerError(f"the broker did not start: {(self.folder / 'broker.log').read_text()[-2_000:]}")

    def kill(self) -> None:
        """As a power cut of the process: what it has not acknowledged may be gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """In good order, or killed after a while."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
