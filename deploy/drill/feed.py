"""What comes in while the drill runs: prices of now, and what goes wrong with them."""

import json
import threading
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from findings import say
from running import PARTITIONER, feed, feed_reference

MAG7 = ("AAPL", "AMZN", "GOOGL", "META", "MSFT", "NVDA", "TSLA")
MARKET_PARTITIONS = 4
# Name, partitions, and whether it is compacted. The second service reads a market of its own.
TOPICS = [
    ("market", MARKET_PARTITIONS, False), ("reference", 1, True), ("alerts", 4, False), ("state", 4, True),
    ("snapshots", 4, True), ("dead-letters", 1, False),
    ("second-market", 1, False), ("second-alerts", 1, False), ("second-dead-letters", 1, False),
]
# Rounds of prices a second. In so many of them the market falls from close to close: no step is so large that the
# service would doubt it.
ROUNDS, FALLS_IN = 2, 40


def make_topics(address):
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})  # kept until it is done
    made = admin.create_topics(
        [NewTopic(name, partitions, 1, config={"cleanup.policy": "compact"} if compacted else {}) for name, partitions, compacted in TOPICS])
    for future in made.values():
        future.result(30)


def producer(address, **more):
    # A short patience between attempts, so that the feed is back soon after the broker is.
    return Producer({"bootstrap.servers": address, "linger.ms": 5, "reconnect.backoff.max.ms": 1000, "log_level": 0, **PARTITIONER, **more})


def tick(symbol, ts, price, seq):
    return json.dumps({"type": "tick", "symbol": symbol, "ts": ts, "price": round(price, 4), "size": 100, "seq": seq})


def feed_past(to, days):
    """Splits, members and every session before today; the last of them with prices within it."""
    feed_reference(to, days.reference())
    closed, last = days.past()
    feed(to, closed, MARKET_PARTITIONS)
    for ts, symbol, price in days.prices_of_last():
        to.produce("market", tick(symbol, ts, price, ts // 10**9), key=symbol)
    feed(to, last, MARKET_PARTITIONS)


class Feed(threading.Thread):
    """A round of prices twice a second, with event times of now, and a heartbeat in every partition.

    The first service gets every symbol of the shipped days, the second the seven, in a topic of its own.
    """

    def __init__(self, address, days):
        super().__init__(daemon=True)
        self.days = days
        self.producer = producer(address)
        self.speaks = True  # to the first
        self.falls = False
        self.part = 0
        # Behind those of the sessions before.
        self.seq = time.time_ns() // 10**9
        self.trouble = None
        self._ended = threading.Event()

    def run(self):
        due = time.monotonic()
        try:
            while not self._ended.is_set():
                if self.falls and self.part < FALLS_IN:
                    self.part += 1
                self.seq += 1
                if self.speaks:
                    self._round()
                self._second()
                self.producer.poll(0)
                # After a stop of the whole machine: on from now, not faster.
                due = max(due + 1 / ROUNDS, time.monotonic())
                self._ended.wait(due - time.monotonic())
        except Exception as error:  # noqa: BLE001 a thread's end has to be told by somebody else
            self.trouble = error

    def _round(self):
        for symbol in self.days.after:
            # A cent up and down, as a price that never moves has no volatility.
            price = self.days.price(symbol, self.part / FALLS_IN) + 0.01 * (self.seq % 2)
            self._tick("market", symbol, price)
        for partition in range(MARKET_PARTITIONS):
            self._beat("market", partition)

    def _second(self):
        for symbol in MAG7:
            self._tick("second-market", symbol, self.days.before[symbol])
        self._beat("second-market", 0)

    def _tick(self, topic, symbol, price):
        self.producer.produce(topic, tick(symbol, time.time_ns(), price, self.seq), key=symbol)

    def _beat(self, topic, partition):
        self.producer.produce(topic, f'{{"type":"heartbeat","ts":{time.time_ns()}}}', partition=partition)

    def end(self):
        self._ended.set()
        self.join(10)


class Rubbish(threading.Thread):
    """Records that cannot be decoded, so many a second, until it is ended. The rate may be changed meanwhile."""

    def __init__(self, address, topic, rate):
        super().__init__(daemon=True)
        self.producer, self.topic, self.rate = producer(address), topic, rate
        self._ended = threading.Event()

    def run(self):
        due = 0.0
        while not self._ended.wait(0.1):
            due += self.rate / 10
            while due >= 1:
                self.producer.produce(self.topic, b"\xff\xfe no record of this market")
                due -= 1
            self.producer.poll(0)

    def end(self):
        self._ended.set()
        self.join(10)
        self.producer.flush(10)


class HangingTransaction:
    """A transaction that somebody leaves open: what comes behind it waits for readers of committed records.

    This is how a consumer comes to lag while it is healthy, answers, and finds its broker: no signal and no load is
    needed, and the end is as sharp as the beginning.
    """

    def __init__(self, address, topic):
        self.producer = producer(address, **{"transactional.id": "drill", "transaction.timeout.ms": 600_000})
        self.producer.init_transactions(30)
        self.producer.begin_transaction()
        self.producer.produce(topic, f'{{"type":"heartbeat","ts":{time.time_ns()}}}', partition=0)
        self.producer.flush(10)

    def commit(self):
        self.producer.commit_transaction(30)
        say("the transaction is committed")
