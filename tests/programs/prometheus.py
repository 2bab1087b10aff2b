"""A real Prometheus reads /metrics, takes the shipped alerts, and has an answer to each
question of the shipped dashboard."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

from harness.box import NotRun, TESTS, expect

PACKAGING = os.path.join(os.path.dirname(TESTS), "packaging")
# Of these there may be nothing to see in a run without Kafka.
SILENT = re.compile(r"kafka_transaction")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Prometheus:
    def __init__(self, box, target):
        if not shutil.which("prometheus"):
            raise NotRun("prometheus is not here (Debian: prometheus)")
        self.port = free_port()
        config = box.path("prometheus.yml")
        with open(config, "w") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                       "rule_files": [os.path.join(PACKAGING, "prometheus.rules.yml")],
                       "scrape_configs": [{"job_name": "rowtail", "static_configs": [
                           {"targets": [target]}]}]}, file)
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=" + config,
             "--storage.tsdb.path=" + box.path("tsdb"),
             "--web.listen-address=127.0.0.1:%d" % self.port],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        box.opened.append(self)

    def close(self):
        self.process.kill()
        self.process.wait()

    def get(self, path, **query):
        url = "http://127.0.0.1:%d/api/v1/%s?%s" % (self.port, path,
                                                    urllib.parse.urlencode(query))
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def ask(self, expression):
        """[(labels, value)]"""
        data = self.get("query", query=expression)
        return [] if data is None else [(r["metric"], float(r["value"][1]))
                                        for r in data["result"]]


def expressions():
    with open(os.path.join(PACKAGING, "grafana.json")) as file:
        for panel in json.load(file)["panels"]:
            for target in panel["targets"]:
                text = target["expr"].replace('job=~"$job",instance=~"$instance"',
                                              'job="rowtail"')
                text = text.replace("$__rate_interval", "1m").replace("$__range", "5m")
                expect("$" not in text, "%s", text)
                yield panel["title"], text


def test_a_real_prometheus_has_an_answer_to_all_of_the_dashboard(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    port = free_port()
    tail = box.tail(path, "--to", "file:" + box.path("out"), "-D",
                    "metrics.listen=127.0.0.1:%d" % port)
    server = Prometheus(box, "127.0.0.1:%d" % port)
    number = 0

    def answered():
        nonlocal number
        number += 1
        writer.sql("c", "INSERT INTO t VALUES (%d, 'text')" % number)
        lacking = [e for _, e in wanted if not server.ask(e) and not SILENT.search(e)]
        return not lacking
    wanted = list(expressions())
    expect(len(wanted) > 20, "%s", wanted)
    box.wait_until(answered, 90, "questions without an answer")
    expect(server.ask("rowtail_healthy") [0][1] == 1, "%s", server.ask("rowtail_healthy"))
    expect(server.ask('sum(rowtail_events_total{table="t",op="c"})')[0][1] >= 1, "no events")
    rules = server.get("rules")["groups"][0]["rules"]
    expect(len(rules) == 5 and all(r["health"] == "ok" for r in rules), "%s", rules)
    box.stop(tail)
    box.wait_until(lambda: any(a["labels"]["alertname"] == "RowtailDown"
                               for a in server.get("alerts")["alerts"]), 60, "no alarm")
    return len(wanted)


def test_the_names_in_the_documents_are_those_that_there_are(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    port = free_port()
    tail = box.tail(path, "--state", box.path("state"), "-D",
                    "metrics.listen=127.0.0.1:%d" % port)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port) as answer:
        there = set(re.findall(r"^# TYPE (\S+)", answer.read().decode(), re.M))
    box.stop(tail)
    with open(os.path.join(os.path.dirname(TESTS), "docs", "metrics.md")) as file:
        text = file.read().partition("\n## Metrics\n")[2]
    told = set()
    for line in re.findall(r"^\| (`[^|]*`) \|", text, re.M):
        names = re.findall(r"`([a-z_…]+)", line)
        for name in names:
            first = names[0]
            told.add(first[:first.index("outages")] + name[1:]
                     if name.startswith("_") else name)
    told.discard("process_…")
    ours = {name for name in there if name.startswith("rowtail_")}
    expect(told == ours, "in one alone: %s", sorted(told ^ ours))
    with open(os.path.join(PACKAGING, "prometheus.rules.yml")) as file:
        used = set(re.findall(r"rowtail_[a-z_]+", file.read()))
    expect(used <= there, "%s", used - there)
