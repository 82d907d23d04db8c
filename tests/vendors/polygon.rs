//! Polygon, now Massive.

use super::*;

#[test]
fn polygon_messages() {
    let trade = tick("MSFT", millis(1_536_036_818_784), 114.125, |t| {
        t.size = Some(100.0);
        // 2018-09-03 in Eastern standard time is day 17,777.
        t.seq = Some((17_777 << 40) + 3_681_328);
        t.id = named("4:12345");
        t.venue = named("4");
        t.tape = Some(Tape::C);
        t.cond = cond(&["@", "T"]);
    });
    let second = bar("SPCE", millis(1_610_144_868_000), Interval::Second1, [25.39, 25.39, 25.39, 25.39]);
    let minute = bar("GTE", millis(1_610_144_640_000), Interval::Minute1, [0.4488, 0.4489, 0.4486, 0.4486]);
    let minute: [Expected<'_>; 1] = [Ok(Observation::Bar(minute))];
    let band = TradingStatus::Limits { lower: px(198.11), upper: px(218.96) };
    check_file(
        "polygon",
        "polygon.ndjson",
        &[
            &[trade],
            &[ignored("quote")],
            &[Ok(Observation::Bar(second))],
            &minute,
            // Microseconds, where milliseconds are documented.
            &[status("MSFT", UnixNanos(1_601_316_752_683_746_000), band, Some("LULD"))],
            &[ignored("event_not_acted_on")],
            &[ignored("event_not_acted_on")],
            &minute,
            &[ignored("event_not_acted_on")],
            &[ignored("not_a_stock")],
            &[ignored("not_a_stock")],
            &[ignored("event_not_acted_on")],
        ],
    );
}

#[test]
fn polygon_beyond_the_samples() {
    let plain = |ts| move |price| tick("A", ts, price, |_| ());
    let at_10 = plain(millis(1_738_011_600_000));
    let decoder = decoder("polygon");
    let check = |line, expected: &[Expected<'_>]| check_line(&decoder, line, expected);
    // One message, several events, each for itself.
    check(
        r#"[{"ev":"T","sym":"A","p":1,"t":1738011600000},{"ev":"Q"},{"ev":"T","sym":"A","t":1738011600000},{"ev":"T","sym":"A","p":3,"t":1738011600000}]"#,
        &[at_10(1.0), ignored("quote"), malformed("missing_field", "p is missing"), at_10(3.0)],
    );
    check(r#"[{"ev":"status","status":"auth_success","message":"authenticated"}]"#, &[ignored("control")]);
    check("[]", &[ignored("no_events")]);
    check(r#"{"ev":"T","sym":"O:NVDA250131C00120000","p":1,"t":1738011600000}"#, &[ignored("not_a_stock")]);
    check(r#"{"ev":"XT","pair":"BTC-USD","p":1,"t":1738011600000}"#, &[ignored("not_a_stock")]);
    // A fraction of a share has no size in `s`.
    check(r#"{"ev":"T","sym":"A","p":2,"s":0,"t":1738011600000}"#, &[at_10(2.0)]);
    let half = tick("A", millis(1_738_011_600_000), 2.0, |t| t.size = Some(0.5));
    check(r#"{"ev":"T","sym":"A","p":2,"s":0,"ds":"0.5","t":1738011600000}"#, &[half]);
    // Conditions that a tape does not have, and unknown ones, stay visible.
    let odd = tick("A", millis(1_738_011_600_000), 2.0, |t| {
        t.tape = Some(Tape::A);
        t.cond = cond(&["B", "?4", "?777"]);
    });
    check(r#"{"ev":"T","sym":"A","p":2,"z":1,"c":[2,4,41,777],"t":1738011600000}"#, &[odd]);
    let pause = |indicated| status("A", UnixNanos(1_738_011_600_000_000_001), indicated, Some("LULD"));
    check(r#"{"ev":"LULD","T":"A","i":[17],"t":1738011600000000001}"#, &[pause(TradingStatus::Halted)]);
    check(r#"{"ev":"LULD","T":"A","h":9,"l":8,"i":[18],"t":1738011600000000001}"#, &[pause(TradingStatus::Resumed)]);
    check(r#"{"ev":"LULD","T":"A","h":0,"l":0,"t":1738011600000}"#, &[ignored("no_limits")]);
    check(r#"{"ev":"LULD","T":"A","h":8,"l":9,"t":1738011600000}"#, &[rejected("crossed_limits", "")]);
    for (line, reason, detail) in [
        (r#"{"sym":"A"}"#, "missing_field", "ev is missing"),
        (r#"{"ev":"Z"}"#, "unknown_type", "\"Z\""),
        (r#"{"ev":"T","p":1,"t":1}"#, "missing_field", "sym is missing"),
        (r#"{"ev":"T","sym":"A","p":"1","t":1}"#, "wrong_type", "p: not a number"),
        (r#"{"ev":"T","sym":"A","p":1}"#, "missing_field", "t is missing"),
        (r#"{"ev":"T","sym":"A","p":1,"t":1738011600000000000}"#, "wrong_type", "t: time is beyond"),
        (r#"{"ev":"T","sym":"A","p":1,"t":1,"c":["@"]}"#, "wrong_type", "c: not a whole number"),
        (r#"{"ev":"T","sym":"A","p":1,"t":1,"ds":"x"}"#, "wrong_type", "ds: not a number"),
        (r#"{"ev":"A","sym":"A","s":1,"o":1,"h":1,"l":1}"#, "missing_field", "c is missing"),
    ] {
        check(line, &[malformed(reason, detail)]);
    }
    for (line, reason, detail) in [
        (r#"{"ev":"T","sym":"A","p":0,"t":1}"#, "price", "p: "),
        (r#"{"ev":"T","sym":"A","p":1,"t":1,"s":-5}"#, "size", "s: "),
        (r#"{"ev":"T","sym":"","p":1,"t":1}"#, "symbol", "sym: "),
        (r#"{"ev":"T","sym":"A","p":1,"t":1,"c":[0,1,2,3,4,5,6,7,8]}"#, "cond", "more than 8"),
        (r#"{"ev":"AM","sym":"A","s":1,"o":3,"h":2,"l":1,"c":2}"#, "crossed_bar", ""),
    ] {
        check(line, &[rejected(reason, detail)]);
    }
}

/// The letters of the vendor's own list, tape by tape.
#[test]
fn polygon_conditions_are_those_of_its_list() {
    let list: serde_json::Value =
        serde_json::from_str(&text("tests/fixtures/vendors/polygon_conditions.json")).unwrap();
    let decoder = decoder("polygon");
    let mut seen = 0;
    for entry in list["results"].as_array().unwrap() {
        for (tape, plan) in [(1, "CTA"), (2, "CTA"), (3, "UTP")] {
            let Some(letter) = entry["sip_mapping"][plan].as_str() else { continue };
            let id = &entry["id"];
            let line = format!(r#"{{"ev":"T","sym":"A","p":1,"t":1,"z":{tape},"c":[{id}]}}"#);
            let Ok(Observation::Tick(tick)) = decoder.decode(line.as_bytes()).first else { panic!("{line}") };
            // A legacy letter means something else today.
            let expected = if entry["legacy"] == true { format!("?{id}") } else { letter.to_owned() };
            assert_eq!(tick.cond.as_slice(), [ConditionCode::new(&expected).unwrap()], "{entry}");
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
}
