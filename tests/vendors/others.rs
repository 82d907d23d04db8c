//! Alpaca, Finnhub, Tiingo, Twelve Data, dxLink.

use super::*;

#[test]
fn alpaca_messages() {
    let nvda = tick("NVDA", at("2025-01-27T20:59:59.123456789Z"), 118.42, |t| {
        t.size = Some(250.0);
        t.id = named("Q:52983");
        t.venue = named("Q");
        t.tape = Some(Tape::C);
        t.cond = cond(&["@", "F", "I"]);
    });
    let berkshire = tick("BRK.B", at("2025-01-27T20:59:59.25Z"), 466.5, |t| {
        t.size = Some(100.0);
        t.id = named("N:17");
        t.venue = named("N");
        t.tape = Some(Tape::B);
        t.cond = cond(&[" "]);
    });
    let minute = bar("NVDA", at("2025-01-27T20:59:00Z"), Interval::Minute1, [118.4, 118.55, 118.31, 118.42]);
    let mut day = bar("NVDA", at("2025-01-27T05:00:00Z"), Interval::Day1, [124.8, 128.4, 116.7, 118.42]);
    day.session = Some("2025-01-27".parse().unwrap());
    day.is_final = false;
    let correction = Amendment {
        symbol: "NVDA".into(),
        ts: at("2025-01-27T21:03:11.5Z"),
        print: PrintRef::Id("Q:52983".into()),
        price: Some(px(118.4)),
        size: Some(200.0),
        feed: None,
    };
    let cancel = Amendment {
        symbol: "BRK.B".into(),
        ts: at("2025-01-27T21:04:00Z"),
        print: PrintRef::Id("N:17".into()),
        price: None,
        size: Some(100.0),
        feed: None,
    };
    let band = TradingStatus::Limits { lower: px(107.26), upper: px(131.1) };
    check_file(
        "alpaca",
        "alpaca.ndjson",
        &[
            &[ignored("control")],
            &[ignored("control")],
            &[nvda],
            &[ignored("quote"), berkshire],
            &[Ok(Observation::Bar(minute))],
            &[Ok(Observation::Bar(day)), ignored("event_not_acted_on")],
            &[Ok(Observation::Amendment(correction)), Ok(Observation::Amendment(cancel))],
            &[status("NVDA", at("2025-01-27T14:30:00.000000001Z"), band, Some("LULD"))],
            &[
                status("NVDA", at("2025-01-27T15:00:00Z"), TradingStatus::Halted, Some("T1")),
                ignored("event_not_acted_on"),
                status("NVDA", at("2025-01-27T15:30:00Z"), TradingStatus::Resumed, None),
            ],
        ],
    );
    let decoder = decoder("alpaca");
    for (line, expected) in [
        (r#"{"T":"?"}"#, malformed("unknown_type", "")),
        (r#"{"T":"i","S":"A","p":1,"z":"C"}"#, ignored("event_not_acted_on")),
        (r#"{"T":"s","S":"A","sc":"E","t":"2025-01-27T15:00:00Z"}"#, ignored("event_not_acted_on")),
        (r#"{"T":"t","S":"A","p":1}"#, malformed("missing_field", "t is missing")),
        (r#"{"T":"t","S":"A","p":1,"t":1738011600000}"#, malformed("wrong_type", "t: not a text")),
        (r#"{"T":"t","S":"A","p":1,"t":"2025-01-27"}"#, malformed("wrong_type", "t: not an RFC 3339 time")),
        (r#"{"T":"x","S":"A","t":"2025-01-27T15:00:00Z"}"#, malformed("missing_field", "i is missing")),
        (r#"{"T":"t","S":"A","p":1,"t":"2025-01-27T15:00:00Z","c":["TOOLONG"]}"#, rejected("cond", "")),
    ] {
        check_line(&decoder, line, &[expected]);
    }
}

#[test]
fn finnhub_messages() {
    let trade = |symbol, ts, price, size: u32, codes: &[&str]| {
        let cond = cond(codes);
        tick(symbol, millis(ts), price, move |t| {
            t.size = Some(size.into());
            t.cond = cond;
        })
    };
    let swept = ["@", "F", "T", "I"];
    let tesla = |ts, price, size| trade("TSLA", ts, price, size, &swept);
    check_file(
        "finnhub",
        "finnhub.ndjson",
        &[
            &[
                tesla(1_672_348_887_195, 122.1, 1),
                tesla(1_672_348_887_196, 122.09, 4),
                tesla(1_672_348_887_196, 122.09, 10),
                tesla(1_672_348_887_196, 122.1, 1),
                tesla(1_672_348_887_196, 122.1, 2),
                tesla(1_672_348_887_196, 122.1, 10),
                tesla(1_672_348_887_198, 122.1, 79),
                trade("AAPL", 1_672_348_887_666, 129.58, 1, &["@", "T", "I"]),
                trade("AAPL", 1_672_348_887_785, 129.575, 1, &["@", "T", "I"]),
            ],
            &[tesla(1_672_348_887_195, 122.1, 1)],
        ],
    );
    let decoder = decoder("finnhub");
    let check = |line, expected: &[Expected<'_>]| check_line(&decoder, line, expected);
    check(r#"{"type":"ping"}"#, &[ignored("control")]);
    check(r#"{"type":"trade","data":[]}"#, &[ignored("no_events")]);
    check(r#"{"type":"news","data":[]}"#, &[malformed("unknown_type", "news")]);
    // A price update has no volume; 99 is no condition that is listed, 4 means two things on two tapes.
    let update = tick("A", millis(1_738_011_600_000), 2.0, |t| t.cond = cond(&["?99", "?4"]));
    check(r#"{"s":"A","p":2,"t":1738011600000,"v":0,"c":["99","4","41"]}"#, &[update]);
    let bare = tick("A", millis(1_738_011_600_000), 2.0, |_| ());
    check(r#"{"s":"A","p":2,"t":1738011600000,"c":null}"#, &[bare]);
    check(r#"{"s":"A","p":2,"c":["x"],"t":1}"#, &[malformed("wrong_type", "c: not a number as text")]);
    check("[]", &[malformed("wrong_type", "not an object")]);
}

#[test]
fn tiingo_messages() {
    let nvda = tick("NVDA", UnixNanos(1_738_011_601_250_000_002), 118.42, |t| {
        t.size = Some(40.0);
        t.venue = named("IEX");
        t.cond = cond(&["T", "I"]);
    });
    let berkshire = tick("BRK.B", UnixNanos(1_738_011_599_500_000_000), 466.5, |t| {
        t.size = Some(100.0);
        t.venue = named("IEX");
        t.cond = cond(&["F"]);
    });
    check_file(
        "tiingo",
        "tiingo.ndjson",
        &[
            &[ignored("control")],
            &[ignored("control")],
            &[ignored("quote")],
            &[nvda],
            &[berkshire],
            &[ignored("event_not_acted_on")],
            &[ignored("not_a_stock")],
        ],
    );
    let decoder = decoder("tiingo");
    let data = |data: &str| format!(r#"{{"messageType":"A","service":"iex","data":{data}}}"#);
    for (line, expected) in [
        (data(r#"["2025-01-27T15:59:59-05:00","nvda",118.42]"#), ignored("event_not_acted_on")),
        (data(r#"["T","x",1,"nvda"]"#), malformed("field_layout", "data has 4 values")),
        (data(r#"["Z"]"#), malformed("unknown_type", "data[0] \"Z\"")),
        (data("[1]"), malformed("wrong_type", "data: ")),
        (data(r#"["T","x",1,"nvda",0,0,0,0,0,null,5,0,0,0,0,0]"#), malformed("missing_field", "last_price is missing")),
    ] {
        check_line(&decoder, &line, &[expected]);
    }
}

#[test]
fn twelve_data_messages() {
    let nvda = tick("NVDA", UnixNanos(1_738_011_599_000_000_000), 118.42, |t| t.venue = named("XNGS"));
    check_file("twelvedata", "twelvedata.ndjson", &[&[ignored("control")], &[nvda], &[ignored("control")]]);
    let decoder = decoder("twelvedata");
    check_line(&decoder, r#"{"event":"price","symbol":"A","price":1}"#, &[malformed("missing_field", "timestamp")]);
    check_line(&decoder, r#"{"event":"tip"}"#, &[malformed("unknown_type", "tip")]);
}

#[test]
fn dxlink_messages() {
    let trade = |ts, more: &'static str| {
        tick("NVDA", ts, 118.42, move |t| {
            t.size = Some(250.0);
            t.seq = Some((1_738_011_599_123 << 22) + 7);
            t.venue = named("Q");
            if !more.is_empty() {
                t.id = named(more);
                t.cond = cond(&["@", "F", "I"]);
            }
        })
    };
    let berkshire = tick("BRK/B", millis(1_738_011_599_250), 466.5, |t| {
        t.seq = Some(1_738_011_599_250 << 22);
        t.venue = named("N");
    });
    let extended = tick("NVDA", millis(1_738_015_200_000), 117.9, |t| {
        t.size = Some(10.0);
        t.seq = Some((1_738_015_200_000 << 22) + 1);
        t.venue = named("P");
        t.cond = cond(&["T"]);
    });
    let average = tick("NVDA", millis(1_738_015_200_000), 117.0, |t| {
        t.size = Some(1.0);
        t.seq = Some(1_738_015_200_000 << 22);
        t.id = named("7465000000000000009");
        t.venue = named("D");
        t.cond = cond(&["@", "W", "T", "?nvt"]);
    });
    let amended = |ts, id: &'static str, price: Option<f64>, size| {
        Ok(Observation::Amendment(Amendment {
            symbol: "NVDA".into(),
            ts: millis(ts),
            print: PrintRef::Id(id.into()),
            price: price.map(px),
            size,
            feed: None,
        }))
    };
    check_file(
        "dxlink",
        "dxlink.ndjson",
        &[
            &[ignored("control")],
            &[ignored("control")],
            &[trade(millis(1_738_011_599_123), ""), berkshire, ignored("quote")],
            &[extended],
            &[
                trade(millis(1_738_011_599_123), "7465000000000000007"),
                amended(1_738_011_599_123, "7465000000000000007", Some(118.4), Some(200.0)),
                amended(1_738_011_599_124, "7465000000000000008", None, None),
                average,
            ],
            &[trade(UnixNanos(1_738_011_599_123_456_789), "")],
            &[rejected("field_layout", "input.dxlink.Trade")],
            &[malformed("field_layout", "Trade: 10 values are no rows of 7 fields")],
            &[ignored("no_price")],
            &[malformed("missing_field", "time is missing: ask for it")],
        ],
    );
    let decoder = decoder("dxlink");
    let check = |line, expected: &[Expected<'_>]| check_line(&decoder, line, expected);
    check(r#"{"type":"FEED_DATA","data":[]}"#, &[ignored("no_events")]);
    check(r#"{"type":"FEED_DATA","data":["Trade"]}"#, &[malformed("wrong_type", "data: ")]);
    check(r#"{"type":"FEED_DATA","data":["Trade",[1,2,3,4,5,6,7]]}"#, &[malformed("field_layout", "its name")]);
    check(r#"{"type":"FEED_DATA","data":["Candle",[1,2]]}"#, &[ignored("event_not_acted_on")]);
    check(r#"{"type":"NEWS"}"#, &[malformed("unknown_type", "NEWS")]);
}

/// A stream of somebody's own shape: the native form refuses it and says where.
#[test]
fn a_shape_of_somebodys_own_is_refused_by_its_field() {
    let float_time = [malformed("wrong_type", "ts: ")];
    check_file("native", "pulsar.ndjson", &[&float_time, &float_time]);
}
