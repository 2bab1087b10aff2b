"""One Kafka broker that is its own controller (KRaft mode), on 127.0.0.1."""

import os
import subprocess

from .jars import EnvError
from .service import Java, free_port

CLUSTER_ID = "cm93dGFpbHRlc3RzMDAwMQ"
SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocols}
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
# A broker alone: nothing is replicated.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Small, and quick to start: also after kill -9 (the old session has to run out first).
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
initial.broker.registration.timeout.ms=30000
# What rowtail needs it makes itself.
auto.create.topics.enable=false
"""


class Broker(Java):
    NAME = "broker"

    def __init__(self, folder, port=None, settings="", listeners=(), scram=(), **more):
        """`settings`: lines of server.properties; `listeners`: more of them beside the
        plain one, as (name, protocol); `scram`: (user, password) of SCRAM-SHA-256."""
        super().__init__(folder, **more)
        self.settings = settings
        self.scram = scram
        self.ports = {"PLAINTEXT": port or free_port()}
        self.protocols = {"PLAINTEXT": "PLAINTEXT"}
        for name, protocol in listeners:
            self.ports[name] = free_port()
            self.protocols[name] = protocol
        self.controller = free_port()
        self.data = os.path.join(self.folder, "data")

    @property
    def address(self):
        return self.address_of("PLAINTEXT")

    def address_of(self, listener):
        return "127.0.0.1:%d" % self.ports[listener]

    def start(self):
        properties = os.path.join(self.folder, "server.properties")
        with open(properties, "w") as file:
            file.write(SETTINGS.format(
                controller=self.controller, data=self.data,
                listeners=",".join("%s://%s" % (name, self.address_of(name))
                                   for name in self.ports),
                protocols=",".join("%s:%s" % pair for pair in self.protocols.items())))
            file.write(self.settings)
        if not os.path.exists(os.path.join(self.data, "meta.properties")):
            self._format(properties)
        mark = self.log_size()
        self.launch("kafka.Kafka", properties)
        self.wait_ready(mark)
        return self

    def _format(self, properties):
        scram = []
        for user, password in self.scram:
            scram += ["--add-scram",
                      "SCRAM-SHA-256=[name=%s,password=%s]" % (user, password)]
        done = subprocess.run(
            self.command("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID,
                         "-c", properties, *scram),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise EnvError("the broker's folder could not be formatted:\n%s"
                           % done.stdout.decode("utf-8", "replace")[-2000:])

    @staticmethod
    def is_ready(log):
        return "Kafka Server started" in log

    def restart(self):
        self.stop()
        return self.start()
