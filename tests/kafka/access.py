"""TLS, SASL and permissions, with the real broker; and passwords that nobody sees."""

import os
import subprocess

from harness.box import expect
from kafka.librdkafka import Admin, library
from kafka.scene import Scene, own_broker

PASSWORD = "pa55-w0rd-that-nobody-sees"
JAAS = ('org.apache.kafka.common.security.%s required username="rowtail"'
        ' password="' + PASSWORD + '" user_rowtail="' + PASSWORD + '";')


def make_certificate(box):
    """A key and a certificate for 127.0.0.1 that vouches for itself."""
    key, certificate = box.path("key.pem"), box.path("certificate.pem")
    done = subprocess.run(
        [box.need_tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(done.returncode == 0, "%s", done.stdout)
    both = box.path("server.pem")
    with open(both, "w") as out:
        for part in [key, certificate]:
            with open(part) as file:
                out.write(file.read())
    return certificate, both


class SecuredScene(Scene):
    """rowtail comes in by another listener than the tests' own consumer."""

    def arguments(self, *more):
        arguments = super().arguments(*more)
        arguments[arguments.index("--to") + 1] = (
            "kafka://" + self.broker.address_of("SECURED"))
        return arguments


def secured(box, protocol, settings, args, **more):
    broker = own_broker(box, listeners=[("SECURED", protocol)], settings=settings,
                        **more).start()
    return SecuredScene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                        broker=broker, args=args)


def properties(**settings):
    found = []
    for name, value in settings.items():
        found += ["-D", "producer.%s=%s" % (name.replace("_", "."), value)]
    return found


def works(scene):
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (1, 'x')")
    scene.wait_events(1)
    scene.stop(run)
    scene.check()
    return run.errors


def nobody_sees(box, scene, lines):
    """The password is in no line, and in no file of ours."""
    expect(not any(PASSWORD in t for t in lines), "the password is in the log: %s",
           lines)
    status = box.run("status", "--state", scene.state, "--json")
    expect(PASSWORD not in status.out.decode(), "the password is in the status")
    for name in os.listdir(scene.state):
        with open(os.path.join(scene.state, name), "rb") as file:
            expect(PASSWORD.encode() not in file.read(), "the password is in %s", name)


def test_tls(box):
    certificate, server = make_certificate(box)
    scene = secured(
        box, "SSL",
        "listener.name.secured.ssl.keystore.type=PEM\n"
        "listener.name.secured.ssl.keystore.location=%s\n" % server,
        properties(security_protocol="ssl", ssl_ca_location=certificate))
    works(scene)
    scene.args = properties(security_protocol="ssl")    # a certificate nobody knows
    run = scene.start(wait=False)
    box.wait_until(lambda: any("certificate" in t.lower() for t in run.errors), 15,
                   "nothing is said of the certificate: %s" % run.errors)
    scene.stop(run, code=run.process.poll() or 0)


def sasl_settings(mechanism, module):
    return ("sasl.enabled.mechanisms=%s\n"
            "listener.name.secured.%s.sasl.jaas.config=%s\n" % (
                mechanism, mechanism.lower(), JAAS % module))


def wrong_password_is_named(box, scene, args):
    """It ends after some seconds (brokers may be starting) and names what to look at."""
    scene.args = args
    run = scene.start(wait=False)
    expect(run.wait_exit(30) == 2, "exit %s: %s", run.process.returncode,
           run.error_text())
    expect("producer.sasl" in run.errors[-1] and len(run.errors) < 5, "%s",
           run.error_text())
    expect(not any("wrong-pass" in t for t in run.errors), "%s", run.error_text())


def test_sasl_scram(box):
    args = properties(security_protocol="sasl_plaintext",
                      sasl_mechanism="SCRAM-SHA-256", sasl_username="rowtail")
    settings = ("sasl.enabled.mechanisms=SCRAM-SHA-256\n"
                "listener.name.secured.scram-sha-256.sasl.jaas.config="
                "org.apache.kafka.common.security.scram.ScramLoginModule required;\n")
    scene = secured(box, "SASL_PLAINTEXT", settings,
                    args + properties(sasl_password=PASSWORD),
                    scram=[("rowtail", PASSWORD)])
    if library().rd_kafka_version() < 0x020601ff:
        run = scene.start(wait=False)       # it cannot, with this broker: it says why
        expect(run.wait_exit(30) == 2, "exit %s", run.process.returncode)
        expect("2.6.1" in run.errors[-1], "%s", run.error_text())
        return
    nobody_sees(box, scene, works(scene))


def test_sasl_plain_over_tls(box):
    certificate, server = make_certificate(box)
    settings = sasl_settings("PLAIN", "plain.PlainLoginModule") + (
        "listener.name.secured.ssl.keystore.type=PEM\n"
        "listener.name.secured.ssl.keystore.location=%s\n" % server)
    args = properties(security_protocol="sasl_ssl", sasl_mechanism="PLAIN",
                      sasl_username="rowtail", ssl_ca_location=certificate)
    with open(box.path("secrets.properties"), "w") as file:
        file.write("kafka.password = %s\n" % PASSWORD)
    scene = secured(box, "SASL_SSL", settings, args + properties(
        sasl_password="${file:%s:kafka.password}" % box.path("secrets.properties")))
    nobody_sees(box, scene, works(scene))
    wrong_password_is_named(box, scene, args + properties(sasl_password="wrong-pass"))
    os.environ["ROWTAIL_TEST_PASSWORD"] = PASSWORD
    scene.args = args + properties(sasl_password="${env:ROWTAIL_TEST_PASSWORD}")
    scene.sql("INSERT INTO t VALUES (2, 'y')")
    result = scene.once()
    nobody_sees(box, scene, result.error_lines)
    scene.check()


def test_a_permission_that_is_revoked(box):
    """rowtail ends with a clear line; once it is allowed again nothing is missing."""
    settings = sasl_settings("PLAIN", "plain.PlainLoginModule") + (
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
        "super.users=User:ANONYMOUS\n"
        # What no rule names is free; so a topic needs a rule for somebody else, too.
        "allow.everyone.if.no.acl.found=true\n")
    scene = secured(box, "SASL_PLAINTEXT", settings, properties(
        security_protocol="sasl_plaintext", sasl_mechanism="PLAIN",
        sasl_username="rowtail", sasl_password=PASSWORD))
    with Admin(scene.broker.address) as admin:
        admin.allow("User:somebody", scene.prefix)
        admin.allow("User:rowtail", scene.prefix)
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (1, 'x')")
    scene.wait_events(1)
    with Admin(scene.broker.address) as admin:
        admin.disallow("User:rowtail", scene.prefix)
    scene.sql("INSERT INTO t VALUES (2, 'y')")
    code = run.wait_exit(30)
    expect(code == 1, "exit %s; %s", code, run.error_text())
    expect(scene.prefix + ".t" in run.errors[-1] and "not allow" in run.errors[-1],
           "%s", run.error_text())
    with Admin(scene.broker.address) as admin:
        admin.allow("User:rowtail", scene.prefix)
    scene.once()
    scene.check()
