"""The scenarios: what comes, and what a desk expects to be told. README.md says why."""

from expect import Story, before

A = "ACME"
DAY = "2025-02-12"


def stories():
    return [story() for story in STORIES]


def open_auction():
    s = Story("open_auction")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.412", 94.70)
    s.say("open", A, DAY, "09:30:00.412", 94.70)
    # A market center's own open is no trade, an average price is no price of this moment.
    s.tick(A, DAY, "09:30:00.430", 88.00, tape="A", venue="P", cond=["Q"])
    s.tick(A, DAY, "09:31:00", 94.90, size=300, tape="A", venue="Q", cond=["@"])
    s.tick(A, DAY, "10:30:00", 85.00, size=20000, tape="A", venue="D", cond=["B"])
    s.tick(A, DAY, "11:00:00", 95.40, size=200, tape="A", venue="N", cond=["@", "F"])
    s.close(A, DAY, 95.60)
    s.say("confirm", A, DAY, "close", 95.60, state="CONFIRMED")
    return s


def half_day():
    s, day, after = Story("half_day"), "2025-07-03", "2025-07-07"
    s.warm(A, day)
    s.auction(A, day, "09:30:00.5", 100.10)
    s.trio(A, day, "12:59:30", (95.80, 95.75, 95.80))
    s.say("open", A, day, "12:59:30", 95.80)
    s.trio(A, day, "13:10:00", (91.00, 91.05, 91.00))
    s.trio(A, day, "15:00:00", (86.00, 86.05, 86.00))
    s.close(A, day, 95.70)
    s.say("confirm", A, day, "close", 95.70, state="CONFIRMED")
    s.auction(A, after, "09:30:00.5", 96.00)
    s.close(A, after, 96.10)
    return s


def clock_change_us():
    s, friday, monday = Story("clock_change_us"), "2025-03-07", "2025-03-10"
    s.warm(A, friday)
    s.tick(A, friday, "13:45:00Z", 95.80, size=100, venue="N")
    s.auction(A, friday, "14:30:00.5Z", 99.90)
    s.trio(A, friday, "20:30:00Z", (95.70, 95.75, 95.70))
    s.say("open", A, friday, "20:30:00Z", 95.70)
    s.close(A, friday, 95.90)
    s.say("confirm", A, friday, "close", 95.90, state="CONFIRMED")
    s.auction(A, monday, "13:30:00.5Z", 91.00)
    s.say("open", A, monday, "13:30:00.5Z", 91.00)
    s.tick(A, monday, "13:45:00Z", 91.20, size=100, venue="N")
    s.trio(A, monday, "20:30:00Z", (84.00, 84.05, 84.00))
    s.close(A, monday, 91.20)
    s.say("confirm", A, monday, "close", 91.20, state="CONFIRMED")
    return s


def clock_change_eu():
    s, europe, america = Story("clock_change_eu"), "2025-10-27", "2025-11-03"
    s.warm(A, europe)
    s.auction(A, europe, "13:30:00.5Z", 95.70)
    s.say("open", A, europe, "13:30:00.5Z", 95.70)
    s.trio(A, europe, "20:15:00Z", (90.00, 90.05, 90.00))
    s.close(A, europe, 95.80)
    s.say("confirm", A, europe, "close", 95.80, state="CONFIRMED")
    for session, price in zip(before(america, 4), (96.20, 95.60, 96.30, 96.00)):
        s.close(A, session, price)
    s.tick(A, america, "13:45:00Z", 90.00, size=100, venue="N")
    s.auction(A, america, "14:30:00.5Z", 95.90)
    s.trio(A, america, "20:30:00Z", (91.00, 91.05, 91.00))
    s.say("open", A, america, "20:30:00Z", 91.00)
    s.close(A, america, 91.20)
    s.say("confirm", A, america, "close", 91.20, state="CONFIRMED")
    return s


def split_morning():
    s, after = Story("split_morning"), "2025-02-13"
    s.warm(A, DAY)
    s.split(A, DAY, 4.0)
    s.auction(A, DAY, "09:30:00.5", 24.95)
    s.trio(A, DAY, "11:00:00", (23.95, 23.94, 23.95))
    s.say("open", A, DAY, "11:00:00", 23.95)
    s.close(A, DAY, 23.97)
    s.say("confirm", A, DAY, "close", 23.97, state="CONFIRMED")
    s.close(A, after, 24.10)
    return s


def late_split():
    s, after = Story("late_split"), "2025-02-13"
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 25.05)
    s.say("open", A, DAY, "09:30:00.5", 25.05, flags=["SUSPECTED_SPLIT"])
    s.close(A, DAY, 25.10)
    s.say("update", A, DAY, "close", 25.10, flags=["SUSPECTED_SPLIT"])
    s.split(A, DAY, 4.0)
    s.say("retract", A, DAY, "close", 25.10, state="RETRACTED")
    s.close(A, after, 23.90)
    s.say("confirm", A, after, "close", 23.90, state="CONFIRMED")
    return s


def late_split_in_mid_session():
    s = Story("late_split_in_mid_session")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 25.05)
    s.say("open", A, DAY, "09:30:00.5", 25.05, flags=["SUSPECTED_SPLIT"])
    s.tick(A, DAY, "10:00:00", 25.10, venue="N")
    s.split(A, DAY, 4.0)
    s.say("retract", A, DAY, "10:00:00", 25.10, state="RETRACTED")
    s.trio(A, DAY, "11:00:00", (23.95, 23.94, 23.95))
    s.say("open", A, DAY, "11:00:00", 23.95, number=2)
    s.close(A, DAY, 23.97)
    s.say("confirm", A, DAY, "close", 23.97, state="CONFIRMED", number=2)
    return s


def halt_and_reopening():
    s = Story("halt_and_reopening")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 99.80)
    s.trio(A, DAY, "10:04:00", (95.90, 95.85, 95.90))
    s.say("open", A, DAY, "10:04:00", 95.90)
    s.status("halt", A, DAY, "10:05:00", reason="LUDP")
    s.trio(A, DAY, "10:06:00", (88.00, 88.05, 88.00))
    s.status("resume", A, DAY, "10:10:00")
    s.auction(A, DAY, "10:10:00.3", 92.00, cond="5")
    s.say("escalate", A, DAY, "10:10:00.3", 92.00)
    s.tick(A, DAY, "10:10:05", 92.20, venue="Q")
    s.close(A, DAY, 92.50)
    s.say("confirm", A, DAY, "close", 92.50, state="CONFIRMED")
    return s


def fade_and_return():
    s = Story("fade_and_return")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 95.80)
    s.say("open", A, DAY, "09:30:00.5", 95.80)
    s.trio(A, DAY, "10:00:00", (97.30, 97.35, 97.30))
    s.tick(A, DAY, "10:09:00", 97.40, venue="N")
    s.tick(A, DAY, "10:11:00", 97.30, venue="N")
    s.say("close", A, DAY, "10:11:00", 97.30)
    s.trio(A, DAY, "10:30:00", (95.80, 95.75, 95.80))
    s.trio(A, DAY, "10:35:00", (94.50, 94.55, 94.50))
    s.say("open", A, DAY, "10:35:00", 94.50, number=2)
    s.close(A, DAY, 96.50)
    s.say("fade", A, DAY, "close", 96.50, state="FADED")
    s.say("fade", A, DAY, "close", 96.50, state="FADED", number=2)
    return s


def late_close():
    s, after = Story("late_close"), "2025-02-13"
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "15:59:58", 99.60, venue="N")
    s.infer(A, DAY, 99.60)
    s.auction(A, after, "09:30:00.5", 95.40)
    s.say("open", A, after, "09:30:00.5", 95.40, flags=["REF_PROVISIONAL"])
    s.close(A, DAY, 100.20)
    s.say("correct", A, after, "09:30:00.5", 95.40, believed=(95.40,))
    s.close(A, after, 95.60)
    s.say("confirm", A, after, "close", 95.60, state="CONFIRMED")
    return s


def late_close_after_a_stale_print():
    s, after = Story("late_close_after_a_stale_print"), "2025-02-13"
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "15:59:58", 99.60, venue="N")
    s.infer(A, DAY, 99.60)
    s.auction(A, after, "09:30:00.5", 95.40)
    s.say("open", A, after, "09:30:00.5", 95.40, flags=["REF_PROVISIONAL"])
    # Sold out of sequence: it may widen the day's range, and is of an earlier moment.
    s.tick(A, after, "09:31:00", 90.00, size=500, tape="A", venue="N", cond=["Z"])
    s.tick(A, after, "09:32:00", 95.50, venue="N")
    s.close(A, DAY, 100.20)
    s.say("correct", A, after, "09:32:00", 95.50, believed=(95.40, 95.50))
    s.close(A, after, 95.60)
    s.say("confirm", A, after, "close", 95.60, state="CONFIRMED")
    return s


def feed_gap():
    s, after, later = Story("feed_gap"), "2025-02-14", "2025-02-18"
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "10:00:00", 99.90, venue="N")
    s.trio(A, DAY, "10:40:00", (95.00, 95.10, 95.00))
    s.say("open", A, DAY, "10:40:00", 95.00)
    s.close(A, DAY, 95.20)
    s.say("confirm", A, DAY, "close", 95.20, state="CONFIRMED")
    # Nothing of the 13th ever comes; the 17th is a holiday.
    s.auction(A, after, "09:30:00.5", 88.00)
    s.close(A, after, 88.50)
    s.close(A, later, 83.50)
    s.say("confirm", A, later, "close", 83.50, state="CONFIRMED")
    return s


def duplicate(name, key):
    s = Story(name)
    s.warm(A, DAY)
    s.tick(A, DAY, "09:30:00.5", 100.00, **key(1))
    s.tick(A, DAY, "10:00:00", 95.50, **key(2))
    s.again(3)
    s.tick(A, DAY, "10:00:01", 99.95, **key(3))
    s.tick(A, DAY, "10:00:04", 99.90, **key(4))
    s.tick(A, DAY, "11:00:00", 95.70, **key(5))
    s.tick(A, DAY, "11:00:00.1", 95.75, **key(6))
    s.tick(A, DAY, "11:00:00.2", 95.70, **key(7))
    s.say("open", A, DAY, "11:00:00", 95.70)
    s.again()
    s.close(A, DAY, 95.80)
    s.say("confirm", A, DAY, "close", 95.80, state="CONFIRMED")
    s.again()
    return s


def duplicate_line():
    return duplicate("duplicate_line", lambda n: {"seq": n})


def duplicate_trade_id():
    return duplicate("duplicate_trade_id", lambda n: {"id": f"t{n}"})


def out_of_order():
    s = Story("out_of_order")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "10:00:00", 99.90, venue="N")
    s.tick(A, DAY, "10:00:05", 99.80, venue="Q")
    s.trio(A, DAY, "10:00:03", (95.80, 95.75, 95.80))
    s.tick(A, DAY, "10:05:00", 99.70, venue="N")
    s.trio(A, DAY, "10:04:40", (90.00, 90.05, 90.00))
    s.trio(A, DAY, "12:00:00", (95.80, 95.75, 95.80))
    s.say("open", A, DAY, "12:00:00", 95.80)
    s.close(A, DAY, 96.60)
    s.say("fade", A, DAY, "close", 96.60, state="FADED")
    return s


def held_out_of_order():
    s = Story("held_out_of_order")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "10:00:00.3", 95.80, venue="N")
    s.tick(A, DAY, "10:00:00.1", 95.70, venue="Q")
    s.tick(A, DAY, "10:00:00.4", 95.80, venue="P")
    s.say("open", A, DAY, "10:00:00.1", 95.70)
    s.close(A, DAY, 95.80)
    s.say("confirm", A, DAY, "close", 95.80, state="CONFIRMED")
    return s


def cancel_of_the_trigger():
    s = Story("cancel_of_the_trigger")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 94.00, id="a1")
    s.say("open", A, DAY, "09:30:00.5", 94.00)
    s.trio(A, DAY, "09:30:10", (99.80, 99.85, 99.80))
    s.say("deescalate", A, DAY, "09:30:10", 99.80)
    s.tick(A, DAY, "09:35:00", 99.70, venue="N")
    s.status("cancel", A, DAY, "09:38:00", id="a1")
    s.say("retract", A, DAY, "09:38:00", 99.70, state="RETRACTED")
    s.trio(A, DAY, "11:00:00", (95.70, 95.75, 95.70))
    s.say("open", A, DAY, "11:00:00", 95.70, number=2)
    s.close(A, DAY, 95.80)
    s.say("confirm", A, DAY, "close", 95.80, state="CONFIRMED", number=2)
    return s


def wild_print():
    s = Story("wild_print")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "10:00:00", 40.00, venue="N")
    s.tick(A, DAY, "10:00:01", 99.98, venue="Q")
    s.tick(A, DAY, "10:00:04", 99.95, venue="N")
    s.trio(A, DAY, "10:30:00", (94.00, 94.00, 94.00), venues=("N", "N", "N"))
    s.tick(A, DAY, "10:30:00.5", 99.90, venue="Q")
    s.tick(A, DAY, "10:30:04", 99.90, venue="P")
    for at, price in (("11:00", 99.10), ("11:10", 98.20), ("11:20", 97.40), ("11:30", 96.60), ("11:40", 95.85)):
        s.tick(A, DAY, f"{at}:00", price, venue="N")
    s.say("open", A, DAY, "11:40:00", 95.85)
    s.close(A, DAY, 95.70)
    s.say("confirm", A, DAY, "close", 95.70, state="CONFIRMED")
    return s


def wild_print_at_the_close():
    s = Story("wild_print_at_the_close")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "15:59:00", 99.90, venue="N")
    s.tick(A, DAY, "15:59:59.5", 60.00, venue="Q")
    s.close(A, DAY, 99.80)
    return s


def wild_print_before_a_halt():
    s = Story("wild_print_before_a_halt")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.tick(A, DAY, "10:00:00", 99.90, venue="N")
    s.tick(A, DAY, "10:04:59", 80.00, venue="Q")
    s.status("halt", A, DAY, "10:05:00", reason="T1")
    s.status("resume", A, DAY, "10:35:00")
    s.auction(A, DAY, "10:35:00.2", 99.50, cond="5")
    s.tick(A, DAY, "10:35:05", 99.60, venue="N")
    s.close(A, DAY, 99.80)
    return s


def real_gap():
    s, after = Story("real_gap"), "2025-02-13"
    s.warm(A, DAY)
    s.trio(A, DAY, "09:30:00.1", (75.00, 75.10, 74.90))
    s.say("open", A, DAY, "09:30:00.1", 75.00)
    s.tick(A, DAY, "10:00:00", 75.60, venue="N")
    s.close(A, DAY, 77.50)
    s.say("confirm", A, DAY, "close", 77.50, state="CONFIRMED")
    s.close(A, after, 73.00)
    return s


def ipo():
    s, day = Story("ipo"), "2025-02-13"
    sessions = before(day, 22)
    s.auction(A, sessions[0], "11:00:00", 60.00)
    s.trio(A, sessions[0], "11:05:00", (75.00, 75.10, 75.00))
    # 20 returns by the 22nd session, 21 by the 23rd.
    for session, price in zip(sessions, (97.2, 98.4, 97.1, 98.0, 99.5, 98.3, 97.0, 98.6, 99.9, 98.9, 97.6,
                                         98.7, 100.1, 99.0, 97.8, 99.2, 100.4, 99.1, 98.2, 99.6, 101.2, 94.0)):
        s.close(A, session, price)
    s.close(A, day, 87.0)
    s.say("confirm", A, day, "close", 87.0, state="CONFIRMED")
    return s


def rename():
    s = Story("rename")
    s.warm("OLDX", DAY)
    s.rename("OLDX", "NEWX", DAY)
    s.auction("NEWX", DAY, "09:30:00.5", 95.60)
    s.say("open", "NEWX", DAY, "09:30:00.5", 95.60)
    s.close("NEWX", DAY, 95.80)
    s.say("confirm", "NEWX", DAY, "close", 95.80, state="CONFIRMED")
    return s


def ex_dividend_price_return():
    s = Story("ex_dividend_price_return")
    s.warm(A, DAY)
    s.dividend(A, DAY, 4.0)
    s.auction(A, DAY, "09:30:00.5", 95.70)
    s.say("open", A, DAY, "09:30:00.5", 95.70, flags=["EX_DIVIDEND"])
    s.close(A, DAY, 95.80)
    s.say("confirm", A, DAY, "close", 95.80, state="CONFIRMED", flags=["EX_DIVIDEND"])
    return s


def ex_dividend_total_return():
    s = Story("ex_dividend_total_return", total_return=True)
    s.warm(A, DAY)
    s.dividend(A, DAY, 4.0)
    s.auction(A, DAY, "09:30:00.5", 95.70)
    s.trio(A, DAY, "13:00:00", (92.00, 92.05, 92.00))
    s.say("open", A, DAY, "13:00:00", 92.00)
    s.close(A, DAY, 92.10)
    s.say("confirm", A, DAY, "close", 92.10, state="CONFIRMED")
    return s


def index_change():
    s, eve = Story("index_change"), "2025-02-11"
    first = before(eve, 22)[0]
    for symbol in ("AAA", "BBB", "OLD"):
        s.membership("member", "trio", symbol, first)
    s.membership("leave", "trio", "OLD", DAY)
    s.membership("member", "trio", "CCC", DAY)
    for symbol in ("AAA", "BBB", "OLD", "CCC"):
        s.outstanding(symbol, before(first, 1)[0], 1e9)
        s.warm(symbol, eve)
    for symbol, price in (("AAA", 95.80), ("BBB", 99.50), ("OLD", 100.20), ("CCC", 95.70)):
        s.close(symbol, eve, price)
    s.say("confirm", "AAA", eve, "close", 95.80, state="CONFIRMED")
    s.say("confirm", "CCC", eve, "close", 95.70, state="CONFIRMED")
    for symbol, price in (("AAA", 90.50), ("BBB", 99.00), ("OLD", 100.00), ("CCC", 90.40)):
        s.close(symbol, DAY, price)
    s.say("confirm", "AAA", DAY, "close", 90.50, state="CONFIRMED")
    s.say("confirm", "CCC", DAY, "close", 90.40, state="CONFIRMED")
    s.say_group("confirm", "trio", DAY, "CONFIRMED", level=1)
    return s


def day_of_mourning():
    s, closed, day = Story("day_of_mourning"), "2025-01-09", "2025-01-10"
    s.warm(A, day)
    s.tick(A, closed, "10:00:00", 95.60, venue="N")
    s.close(A, closed, 90.00)
    s.auction(A, day, "09:30:00.5", 95.80)
    s.say("open", A, day, "09:30:00.5", 95.80)
    s.close(A, day, 95.90)
    s.say("confirm", A, day, "close", 95.90, state="CONFIRMED")
    return s


def premarket():
    s = Story("premarket")
    s.warm(A, DAY)
    early = {"tape": "A", "cond": ["T"]}
    s.trio(A, DAY, "08:00:00", (94.90, 94.95, 95.00), size=100, **early)
    s.tick(A, DAY, "08:05:00", 94.80, venue="P", size=300, **early)
    s.tick(A, DAY, "08:06:00", 94.70, venue="Q", size=600, **early)
    s.say("open", A, DAY, "08:06:00", 94.70, flags=["EXTENDED"])
    s.auction(A, DAY, "09:30:00.5", 92.10)
    s.say("escalate", A, DAY, "09:30:00.5", 92.10)
    s.close(A, DAY, 92.50)
    s.say("confirm", A, DAY, "close", 92.50, state="CONFIRMED")
    return s


def limit_state():
    s = Story("limit_state")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 100.00)
    s.status("limits", A, DAY, "10:00:00", lower=94.60, upper=104.60)
    for at, price in ((10, 99.10), (20, 98.20), (30, 97.30), (40, 96.40)):
        s.tick(A, DAY, f"10:00:{at}", price, venue="N")
    s.tick(A, DAY, "10:00:50", 95.80, venue="Q")
    s.say("open", A, DAY, "10:00:50", 95.80)
    s.tick(A, DAY, "10:00:55", 95.10, venue="N")
    s.tick(A, DAY, "10:01:00", 94.60, venue="N")
    s.say("escalate", A, DAY, "10:01:00", 94.60, flags=["LIMIT_STATE"])
    s.trio(A, DAY, "10:01:10", (90.00, 90.05, 90.00))
    s.status("halt", A, DAY, "10:01:15", reason="LUDP")
    s.status("limits", A, DAY, "10:06:15", lower=86.90, upper=96.10)
    s.status("resume", A, DAY, "10:06:15")
    s.auction(A, DAY, "10:06:15.2", 91.50, cond="5")
    s.say("escalate", A, DAY, "10:06:15.2", 91.50)
    s.close(A, DAY, 92.00)
    s.say("confirm", A, DAY, "close", 92.00, state="CONFIRMED")
    return s


def correction():
    s = Story("correction")
    s.warm(A, DAY)
    s.auction(A, DAY, "09:30:00.5", 94.00, id="a1")
    s.say("open", A, DAY, "09:30:00.5", 94.00)
    s.trio(A, DAY, "09:31:00", (95.90, 95.85, 95.90))
    s.say("deescalate", A, DAY, "09:31:00", 95.90)
    s.status("correct", A, DAY, "09:50:00", id="a1", price=95.50)
    s.say("correct", A, DAY, "09:50:00", 95.90, believed=(95.50, 95.90, 95.85, 95.90))
    s.close(A, DAY, 95.80)
    s.say("confirm", A, DAY, "close", 95.80, state="CONFIRMED")
    s.close(A, DAY, 96.80)
    s.say("correct", A, DAY, "close", 96.80, state="FADED")
    return s


STORIES = (
    open_auction, half_day, clock_change_us, clock_change_eu, split_morning, late_split, late_split_in_mid_session, halt_and_reopening,
    fade_and_return, late_close, late_close_after_a_stale_print, feed_gap, duplicate_line, duplicate_trade_id, out_of_order, held_out_of_order, cancel_of_the_trigger,
    wild_print, wild_print_at_the_close, wild_print_before_a_halt, real_gap, ipo, rename, ex_dividend_price_return,
    ex_dividend_total_return, index_change, day_of_mourning, premarket, limit_state, correction,
)  # fmt: skip
