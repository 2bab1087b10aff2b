#!/usr/bin/env python3
"""A Kafka broker to try things with, until Ctrl-C.

    tests/kafka/env/serve.py [FOLDER [PORT]]     build/kafka/broker, 9092

Its data stays in FOLDER for the next time. Nobody has to log in, so it listens on
127.0.0.1 only.
"""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))

from kafka.env import jars  # noqa: E402
from kafka.env.broker import Broker  # noqa: E402


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(jars.BUILD, "broker")
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 9092
    for sig in [signal.SIGINT, signal.SIGTERM]:
        signal.signal(sig, lambda *_: sys.exit(0))
    broker = Broker(folder, port=port)
    try:
        broker.start()
        print("serve.py: Kafka listens on %s; Ctrl-C ends it" % broker.address,
              flush=True)
        code = broker.process.wait()
        sys.exit("serve.py: the broker ended, exit %d; see %s" % (code, broker.log))
    except jars.EnvError as problem:
        sys.exit("serve.py: %s" % problem)
    finally:
        broker.stop()


if __name__ == "__main__":
    main()
