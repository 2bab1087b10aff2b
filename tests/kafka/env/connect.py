"""A Kafka Connect worker with Debezium's JDBC sink on its class path."""

import json
import os
import urllib.error
import urllib.request

from .service import Java, free_port

SETTINGS = """bootstrap.servers={bootstrap}
listeners=HTTP://127.0.0.1:{port}
rest.advertised.host.name=127.0.0.1
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=true
value.converter.schemas.enable=true
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=1000
plugin.discovery=service_load
connector.client.config.override.policy=All
consumer.auto.offset.reset=earliest
# Topics that did not exist when it started are found soon.
consumer.metadata.max.age.ms=1000
"""


class Connect(Java):
    """Standalone; connectors are (name, settings) and start with it."""

    NAME = "connect"

    def __init__(self, folder, bootstrap, connectors):
        super().__init__(folder)
        self.bootstrap = bootstrap
        self.connectors = dict(connectors)
        self.port = free_port()

    def start(self):
        worker = os.path.join(self.folder, "worker.properties")
        with open(worker, "w") as file:
            file.write(SETTINGS.format(bootstrap=self.bootstrap, port=self.port,
                                       folder=self.folder))
        files = []
        for name, config in self.connectors.items():
            files.append(os.path.join(self.folder, name + ".json"))
            with open(files[-1], "w") as file:
                json.dump({"name": name, "config": config}, file, indent=1)
        mark = self.log_size()
        self.launch("org.apache.kafka.connect.cli.ConnectStandalone", worker, *files)
        self.wait_ready(mark)
        return self

    def is_ready(self, log):
        return ("Kafka Connect started" in log
                and log.count(" INFO Created connector ") >= len(self.connectors))

    def status(self, name):
        url = "http://127.0.0.1:%d/connectors/%s/status" % (self.port, name)
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def failures(self):
        """Why tasks have failed: {name: trace}."""
        found = {}
        for name in self.connectors:
            try:
                status = self.status(name)
            except (OSError, urllib.error.HTTPError):
                continue                # not up yet
            for task in status["tasks"] + [status["connector"]]:
                if task["state"] == "FAILED":
                    found[name] = task.get("trace", "no trace")
        return found


def jdbc_sink(jdbc_url, topics_regex, **more):
    """Settings of Debezium's JDBC sink that take events as they are."""
    config = {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics.regex": topics_regex,
        "connection.url": jdbc_url,
        "connection.username": "postgres",
        "connection.password": "",
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "basic",
        "collection.name.format": "${source.table}",
        # Connect's default shows aborted transactions.
        "consumer.override.isolation.level": "read_committed",
    }
    config.update(more)
    return config
