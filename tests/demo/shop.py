#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small shop that keeps its orders in SQLite. It knows nothing of rowtail.

    shop.py DATABASE --open          make the tables and fill the shelves
    shop.py DATABASE --seconds 12    sell for a while

Before each transaction it says on stderr what it is about to do.
"""

import argparse
import random
import sqlite3
import sys
import time

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE products(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL,
    stock INTEGER NOT NULL);
CREATE TABLE customers(email TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders(
    id INTEGER PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers(email),
    status TEXT NOT NULL, placed_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE order_lines(
    order_id INTEGER NOT NULL REFERENCES orders(id), product_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL, PRIMARY KEY(order_id, product_id)) WITHOUT ROWID;
"""

PRODUCTS = [
    ("Teapot", 24.5, 40),
    ("Cup", 6.25, 200),
    ("Saucer", 3.75, 200),
    ("Oolong, 100 g", 9.9, 80),
    ("Assam, 100 g", 7.4, 80),
    ("Honey", 5.2, 60),
]
PEOPLE = ["Ada", "Edgar", "Grace", "Donald", "Barbara", "Dennis", "Frances", "Ken"]


def say(text):
    print(f"shop: {text}", file=sys.stderr, flush=True)


class Shop:
    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None, timeout=5)
        self.random = random.Random(1)
        self.open_orders = []

    def open(self):
        self.db.executescript(SCHEMA)
        self.db.executemany(
            "INSERT INTO products(name, price, stock) VALUES(?, ?, ?)", PRODUCTS
        )

    def place_order(self):
        name = self.random.choice(PEOPLE)
        email = f"{name.lower()}@example.org"
        lines = self.random.sample(range(1, len(PRODUCTS) + 1), 2)
        say(f"{name} orders two things (one transaction)")
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute(
                "INSERT OR IGNORE INTO customers VALUES(?, ?)", (email, name)
            )
            order = self.db.execute(
                "INSERT INTO orders(customer, status) VALUES(?, 'new')", (email,)
            ).lastrowid
            for product in lines:
                quantity = self.random.randint(1, 3)
                self.db.execute(
                    "INSERT INTO order_lines VALUES(?, ?, ?)",
                    (order, product, quantity),
                )
                self.db.execute(
                    "UPDATE products SET stock = stock - ? WHERE id = ?",
                    (quantity, product),
                )
        self.open_orders.append(order)

    def ship_order(self):
        order = self.open_orders.pop(0)
        say(f"order {order} is shipped")
        self.db.execute("UPDATE orders SET status = 'shipped' WHERE id = ?", (order,))

    def cancel_order(self):
        order = self.open_orders.pop()
        say(f"order {order} is cancelled: its lines go, too")
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute("DELETE FROM order_lines WHERE order_id = ?", (order,))
            self.db.execute("DELETE FROM orders WHERE id = ?", (order,))

    def change_mind(self):
        say("everything must go! ... no, rolled back: nobody will ever see it")
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("UPDATE products SET price = 0.01")
        self.db.execute("ROLLBACK")

    def reprice(self):
        say("all teas cost 10 % more (one statement, two rows)")
        self.db.execute(
            "UPDATE products SET price = round(price * 1.1, 2) WHERE name LIKE '%100 g'"
        )

    def sell(self, seconds):
        plan = [
            self.place_order,
            self.place_order,
            self.ship_order,
            self.reprice,
            self.place_order,
            self.cancel_order,
            self.change_mind,
        ]
        end = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < end:
            plan[turn % len(plan)]()
            turn += 1
            time.sleep(self.random.uniform(0.6, 1.1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--seconds", type=float, default=12)
    options = parser.parse_args()
    shop = Shop(options.database)
    if options.open:
        shop.open()
    else:
        shop.sell(options.seconds)
    shop.db.close()


if __name__ == "__main__":
    main()
