"""The man pages: options go with the commands that they say, and their examples run."""

import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import time

from harness.box import expect

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
REFUSED = r"go(es)? with|takes no|one archive at a time|unexpected"
VALUES = {"DURATION": "10s", "BYTES": "5", "WHEN": "latest", "SIZE": "1", "LINES": "1",
          "TIME": "2026-01-01T00:00:00Z", "SQL": "id > 1", "STATEMENT": "SELECT 1",
          "FROM": "first", "TO": "latest", "N": "1", "TYPE": "execute-snapshot"}
# What an option needs beside it.
BESIDE = {("status", "max-lag"): ["--check"], ("status", "max-bytes"): ["--check"],
          ("audit verify", "until"): ["--database", None]}


def value_of(box, name):
    """Of an argument or a word; what would be a path is none that is there."""
    if name[0].islower():
        return name.split("|")[0]
    return VALUES.get(name, box.path("none"))


def words_of(box, form):
    words = []
    for word in form.split():
        word = word.split("|")[-1]
        if word[0] == "[":
            continue
        words.append(word if word[0] == "-" or word[0].islower() else value_of(box, word))
    return words


def option_of(box, name, argument):
    return ["--%s=%s" % (name, value_of(box, argument))] if argument else ["--" + name]


def test_options_go_with_the_commands_that_the_manual_names(box):
    table = [line.split("\t") for line in subprocess.run(
        [box.options.helpers + "/manual", "table"], stdout=subprocess.PIPE,
        encoding="utf-8", check=True).stdout.splitlines()]
    options = [row[1:] for row in table if row[0] == "option" and row[3]]
    of_runs = {row[1] for row in table if row[0] == "option" and not row[3]}
    tries = []
    for _, form, words in (row for row in table if row[0] == "form"):
        of = {o[0]: o for o in options if form in o[2].split(", ")}
        needed = sum((option_of(box, *o[:2]) for o in of.values() if o[3] == "needed"), [])
        for name in dict.fromkeys(o[0] for o in options):
            option = of.get(name) or next(o for o in options if o[0] == name)
            if name in of and (option[3] or name == "help"):
                continue
            if name == "state" and "--state" in words:
                continue
            if form in ("events", "diff", "check") and name not in of and name in of_runs:
                continue
            more = BESIDE.get((form, name), [])
            more = [box.path("none") if word is None else word for word in more]
            tries.append((form, name, name in of, [*words_of(box, words), *needed, *more,
                                                   *option_of(box, name, option[1])]))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda t: box.run(*t[3]), tries))
    wrong = ["%s --%s: %s\n    %s" % (form, name, "refused" if goes else "taken",
                                      "\n    ".join(result.error_lines[-2:]))
             for (form, name, goes, _), result in zip(tries, results)
             if goes == bool(re.search(REFUSED, result.err.decode("utf-8", "replace")))]
    expect(len(tries) > 400, "only %d tries", len(tries))
    expect(not wrong, "%d of %d:\n%s", len(wrong), len(tries), "\n".join(wrong))


def examples(page):
    """The commands under EXAMPLES, with the lines that go on."""
    text = (DOCS / page).read_text(encoding="utf-8")
    text = text.split(".Sh EXAMPLES\n")[1].split("\n.Sh ")[0].replace("\\e", "\\")
    commands = []
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(line[2:])
            else:
                commands[-1] += "\n" + line
    return commands


class Shell:
    """Runs commands as they are typed, with rowtail on the path, in a folder where an
    application has worked for some days."""

    def __init__(self, box):
        for tool in ("jq", "sqlite3", "bash"):
            box.need_tool(tool)
        self.box = box
        os.mkdir(box.path("bin"))
        program = pathlib.Path(box.path("bin/rowtail"))
        program.write_text("#!/bin/sh\necho $$ >'%s'\nexec %s \"$@\"\n"
                           % (box.path("pid"), " ".join(box.command())))
        program.chmod(0o755)
        self.env = dict(os.environ, PATH=box.path("bin") + ":" + os.environ["PATH"])

    def run(self, command):
        result = self.box.run(command=["bash", "-o", "pipefail", "-c", command],
                              env=self.env, cwd=self.box.folder, timeout=30)
        expect(result.code == 0, "%s\n%s", command, result)
        return result.out.decode()

    def follow(self, command):
        """One that goes on until it is stopped: until it follows."""
        errors = self.box.path("errors")
        with open(errors, "w", encoding="utf-8") as file:
            process = subprocess.Popen(["bash", "-o", "pipefail", "-c", command],
                                       env=self.env, cwd=self.box.folder,
                                       stdout=subprocess.DEVNULL, stderr=file)
        try:
            self.box.wait_until(
                lambda: "following" in pathlib.Path(errors).read_text("utf-8")
                or process.poll() is not None, 15, "not following: " + command)
            expect(process.poll() is None, "%s\nended: %s", command,
                   pathlib.Path(errors).read_text("utf-8"))
            time.sleep(0.3)
            os.kill(int(pathlib.Path(self.box.path("pid")).read_text()), signal.SIGINT)
            process.wait(10 * self.box.slow)
        finally:
            process.kill()
        expect(process.returncode == 0, "%s\nexit %s\n%s", command, process.returncode,
               pathlib.Path(errors).read_text("utf-8"))

    def sql(self, *statements):
        return self.run("sqlite3 app.db \"%s\"" % "; ".join(statements))

    def examples(self, page):
        commands = examples(page)
        expect(len(commands) > 2, "%s has no examples", page)
        for command in commands:
            if re.match(r"rowtail app\.db(?!.*--once)", command):
                self.follow(command)
            else:
                self.run(command)


def grow_old(box, *hours):
    """The archive's files are so many hours old, the oldest first."""
    files = sorted(pathlib.Path(box.path("backup/ltx")).glob("*/*.ltx"),
                   key=lambda path: path.name)
    for path, old in zip(files, hours):
        os.utime(path, (time.time() - old * 3600,) * 2)


def application(box, archive=True):
    shell = Shell(box)
    shell.sql("PRAGMA journal_mode=WAL",
              "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)",
              "CREATE TABLE orders(id INTEGER PRIMARY KEY, status TEXT)",
              "CREATE TABLE sessions(id INTEGER PRIMARY KEY)",
              "INSERT INTO users VALUES (1, 'Ann')",
              "INSERT INTO orders VALUES (42, 'new'), (43, 'new')")
    shell.run("sqlite3 app.db '.backup yesterday.db'")
    shell.run("cp yesterday.db copy-of-yesterday.db")
    if archive:
        shell.run("rowtail app.db --archive backup --to none --state app.db-rowtail --once")
        shell.sql("UPDATE orders SET status = 'paid' WHERE id = 42")
        shell.run("rowtail app.db --archive backup --to none --state app.db-rowtail --once")
        grow_old(box, 100, 1.5)
    else:
        shell.sql("UPDATE orders SET status = 'paid' WHERE id = 42")
    shell.run("sqlite3 app.db '.backup copy-of-app.db'")
    return shell


def test_examples_of_the_manual_run(box):
    shell = application(box, archive=False)
    follow = shell.follow

    def with_an_old_archive(command):
        follow(command)
        if "--archive" in command:
            grow_old(box, 3)
    shell.follow = with_an_old_archive
    shell.examples("rowtail.1")
    expect(pathlib.Path(box.path("restored.db")).exists(), "nothing is restored")


def test_examples_of_archives_run(box):
    shell = application(box)
    shell.examples("rowtail-archive.1")
    row = shell.run("rowtail sql backup 'SELECT * FROM orders WHERE id = 42' --at -3d")
    expect('"new"' in row, "%s", row)


def test_examples_of_audit_logs_run(box):
    shell = application(box, archive=False)
    shell.examples("rowtail-audit.1")
    expect(box.run("audit", "history", box.path("app.audit"), "users", "1").code == 1,
           "the row is still there")


def test_examples_of_diff_run(box):
    shell = application(box)
    shell.examples("rowtail-diff.1")
    for new, old in (("app.db", "copy-of-yesterday.db"), ("yesterday.db", "copy-of-app.db")):
        left = shell.run("rowtail diff %s %s" % (old, new))
        expect(left == "", "%s is not %s: %s", old, new, left)


def beside(box):
    shell = application(box, archive=False)
    shell.run("rowtail app.db --state nightly --once")
    return shell, box.tail(box.path("app.db"), "--to", "file:" + box.path("app.jsonl"))


def test_examples_of_signals_run(box):
    shell, tail = beside(box)
    shell.examples("rowtail-signal.1")
    box.wait_until(lambda: any("the import begins" in line for line in tail.errors), 10,
                   "the message is not in the log")
    box.stop(tail)


def test_examples_of_status_run(box):
    shell, tail = beside(box)
    shell.examples("rowtail-status.1")
    metrics = pathlib.Path(box.path("rowtail.prom")).read_text("utf-8")
    expect("rowtail_following{" in metrics, "%s", metrics)
    box.stop(tail)


def test_every_page_of_the_manual_has_its_examples_run(box):
    text = pathlib.Path(__file__).read_text(encoding="utf-8")
    for page in DOCS.glob("*.1"):
        expect('examples("%s")' % page.name in text, "those of %s are not run", page.name)
