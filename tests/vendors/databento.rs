//! Databento: JSON and DBN, against what the official library reads.

use super::*;

/// The JSON samples are what the official library writes from the DBN samples; both are read.
#[test]
fn databento_json_gives_what_the_binary_form_gives() {
    let golden = golden();
    let lines = text("tests/fixtures/vendors/databento.ndjson");
    let decoder = decoder("databento");
    let mut lines = lines.lines();
    for file in ["trades", "ohlcv-1m", "ohlcv-1s", "ohlcv-1h", "ohlcv-1d", "tbbo"]
        .iter()
        .map(|schema| format!("EQUS.MINI.{schema}.dbn.zst"))
        .chain(
            ["trades", "ohlcv-1m", "ohlcv-1s", "ohlcv-1h", "ohlcv-1d", "tbbo", "imbalance", "mbo"]
                .iter()
                .map(|schema| format!("XNAS.ITCH.{schema}.dbn.zst")),
        )
    {
        for row in golden[&file].as_array().unwrap() {
            let line = lines.next().unwrap();
            check(&events(decoder.decode(line.as_bytes())), &[expected_of(row)], line);
        }
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn databento_messages_by_hand() {
    let decoder = decoder("databento");
    let check = |line: &str, expected: Expected<'_>| check_line(&decoder, line, &[expected]);
    let qqq = |price| {
        tick("QQQ", UnixNanos(1_680_001_694_559_680_187), price, |t| {
            t.size = Some(900.0);
            t.venue = named("95");
        })
    };
    let line = |price: &str, ts: &str, more: &str| {
        format!(
            r#"{{"hd":{{"ts_event":"{ts}","rtype":0,"publisher_id":95,"instrument_id":13340}},"action":"T","price":"{price}","size":900{more}}}"#
        )
    };
    let named = r#","symbol":"QQQ""#;
    check(&line("307830000000", "1680001694559680187", named), qqq(307.83));
    // As `pretty_px` and `pretty_ts` write it.
    check(&line("307.830000000", "2023-03-28T11:08:14.559680187Z", named), qqq(307.83));
    check(&line("307830000000", "1680001694559680187", ""), malformed("missing_field", "map_symbols"));
    check(&line("9223372036854775807", "1680001694559680187", named), rejected("price", "price is not known"));
    check(&line("x", "1680001694559680187", named), malformed("wrong_type", "price: not a price"));
    check(&line("1000000000", "yesterday", named), malformed("wrong_type", "ts_event: not an RFC 3339 time"));
    check(r#"{"price":"1"}"#, malformed("missing_field", "hd is missing"));
    check(r#"{"hd":{"rtype":1},"action":"A"}"#, ignored("quote"));
    check(r#"{"hd":{"rtype":4000}}"#, ignored("event_not_acted_on"));
}

/// What the official library reads, by file.
fn golden() -> serde_json::Value {
    serde_json::from_str(&text("tests/fixtures/vendors/dbn_golden.json")).unwrap()
}

/// The observation that a record of the official library stands for.
fn expected_of(row: &serde_json::Value) -> Expected<'static> {
    let number = |name: &str| row[name].as_i64().unwrap();
    let price = |name: &str| row[name].as_str().unwrap().parse().unwrap();
    let symbol: &'static str = if row["symbol"] == "QQQ" {
        "QQQ"
    } else {
        ["NVDA", "ABC", "XYZ"].into_iter().find(|s| row["symbol"] == *s).unwrap()
    };
    let ts = UnixNanos(number("ts_event"));
    let interval = match number("rtype") {
        0 | 1 => {
            assert_eq!(row["action"], "T");
            return tick(symbol, ts, price("price"), |t| {
                t.size = Some(row["size"].as_f64().unwrap());
                t.venue = Some(number("publisher").to_string().into());
            });
        }
        32 => Interval::Second1,
        33 => Interval::Minute1,
        34 => Interval::Hour1,
        35 => Interval::Day1,
        _ => return ignored("event_not_acted_on"),
    };
    let mut bar = bar(symbol, ts, interval, ["open", "high", "low", "close"].map(price));
    if interval == Interval::Day1 {
        let day = if symbol == "QQQ" { "2023-03-28" } else { "2020-12-28" };
        bar.session = Some(day.parse().unwrap());
    }
    Ok(Observation::Bar(bar))
}

#[test]
fn dbn_files_give_what_the_official_library_reads() {
    let golden = golden();
    let mut records = 0;
    for (file, rows) in golden.as_object().unwrap() {
        let path = repo(&format!("tests/fixtures/vendors/{file}"));
        // The form of lines does not matter for a file that is told by its first bytes.
        let mut source = FileSource::open_with(&path, &decoder("polygon")).unwrap();
        for (number, row) in (0..).zip(rows.as_array().unwrap()) {
            let line = source.next_line().unwrap().unwrap();
            assert_eq!(line.number, number, "{file}");
            check(&[line.decoded], &[expected_of(row)], file);
            assert!(line.rest.is_empty());
            records += 1;
        }
        assert!(source.next_line().unwrap().is_none(), "{file}");
    }
    assert_eq!(records, 54);
}

#[test]
fn a_damaged_dbn_file_is_named_and_read_no_further() {
    let plain = std::fs::read(repo("tests/fixtures/vendors/trades.v2.dbn")).unwrap();
    let path = std::env::temp_dir().join(format!("fragility-dbn-{}.dbn", std::process::id()));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut source = FileSource::open(&path).map_err(|e| e.to_string())?;
        let mut records = 0;
        while source.next_line().map_err(|e| e.to_string())?.is_some() {
            records += 1;
        }
        Ok::<usize, String>(records)
    };
    assert_eq!(read(&plain), Ok(2));
    assert!(read(&plain[..plain.len() - 1]).unwrap_err().contains("breaks off within a DBN record"));
    assert!(read(&plain[..200]).unwrap_err().contains("breaks off within its DBN metadata"));
    let mut damaged = plain.clone();
    let at = damaged.len() - 96;
    damaged[at] = 1;
    assert!(read(&damaged).unwrap_err().contains("shorter than its header"));
    damaged[3] = 4;
    assert!(read(&damaged).unwrap_err().contains("version 4"));
    std::fs::remove_file(&path).unwrap();
}
