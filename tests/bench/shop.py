# SPDX-License-Identifier: Apache-2.0
"""What an application writes: a shop with orders, its stock, and who did what and why in a
context table of the same transaction."""

import random
import sqlite3
import uuid

TABLES = """
CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT, email TEXT, city TEXT);
CREATE TABLE products(id INTEGER PRIMARY KEY, name TEXT, price REAL, stock INTEGER);
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER, status TEXT, total REAL,
                    created_at TEXT);
CREATE TABLE items(id INTEGER PRIMARY KEY, order_id INTEGER, product_id INTEGER,
                   quantity INTEGER, price REAL);
CREATE TABLE audit_context(id INTEGER PRIMARY KEY, actor TEXT, request TEXT, reason TEXT);
"""
CONTEXT_TABLE = "audit_context"
END = "the end of it"
CUSTOMERS = 2000
PRODUCTS = 500
START_ORDERS = 1000


class Shop:
    def __init__(self, path, seed=1):
        self.random = random.Random(seed)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.orders = START_ORDERS

    def open(self):
        r = self.random
        self.db.executescript("PRAGMA journal_mode=WAL;" + TABLES + "BEGIN;")
        self.db.executemany("INSERT INTO customers VALUES (?,?,?,?)", (
            (i, f"Customer {i}", f"customer{i}@example.com", f"City {i % 90}")
            for i in range(1, CUSTOMERS + 1)))
        self.db.executemany("INSERT INTO products VALUES (?,?,?,?)", (
            (i, f"Product {i}", r.randrange(100, 20000) / 100, 100_000)
            for i in range(1, PRODUCTS + 1)))
        for order in range(1, START_ORDERS + 1):
            self._place(order)
        self.db.execute("COMMIT")

    def _run(self, sql, *values):
        self.db.execute(sql, values)

    def _place(self, order):
        r = self.random
        total = 0
        for _ in range(r.randrange(1, 4)):
            product, quantity = r.randrange(PRODUCTS) + 1, r.randrange(1, 4)
            price = r.randrange(100, 20000) / 100
            total += quantity * price
            self._run("INSERT INTO items(order_id, product_id, quantity, price)"
                      " VALUES (?,?,?,?)", order, product, quantity, price)
            self._run("UPDATE products SET stock = stock - ? WHERE id = ?", quantity,
                      product)
        self._run("INSERT INTO orders VALUES (?,?,'new',?,?)", order,
                  r.randrange(CUSTOMERS) + 1, round(total, 2),
                  f"2026-11-{1 + order % 28:02} 12:{order % 60:02}:00")

    def _act(self):
        """One thing that somebody does; why."""
        r = self.random
        order = r.randrange(self.orders) + 1
        kind = r.random()
        if kind < 0.3:
            self.orders += 1
            self._place(self.orders)
            return "order placed"
        if kind < 0.6:
            self._run("UPDATE orders SET status = 'paid' WHERE id = ?", order)
            return "payment received"
        if kind < 0.8:
            self._run("UPDATE orders SET status = 'shipped' WHERE id = ?", order)
            return "parcel handed over"
        if kind < 0.88:
            self._run("DELETE FROM items WHERE order_id = ?", order)
            self._run("DELETE FROM orders WHERE id = ?", order)
            return "order cancelled"
        if kind < 0.95:
            self._run("UPDATE products SET price = round(price * 1.05, 2) WHERE id = ?",
                      r.randrange(PRODUCTS) + 1)
            return "new price"
        self._run("UPDATE customers SET city = ? WHERE id = ?", f"City {r.randrange(90)}",
                  r.randrange(CUSTOMERS) + 1)
        return "customer has moved"

    def work(self, transactions):
        r = self.random
        for _ in range(transactions):
            self.db.execute("BEGIN")
            why = self._act()
            self._run("INSERT INTO audit_context(actor, request, reason) VALUES (?,?,?)",
                      f"user{r.randrange(40)}", str(uuid.UUID(int=r.getrandbits(128))), why)
            self.db.execute("COMMIT")

    def end(self):
        """A last change, which is told after all others."""
        self._run("UPDATE customers SET name = ? WHERE id = 1", END)

    def close(self):
        self.db.close()
