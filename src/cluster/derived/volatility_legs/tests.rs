use super::*;

fn day(n: i32) -> SessionDate {
    SessionDate::from_days(18_262 + n).unwrap() // 2020-01-01
}

/// Ten stocks, each twice as restless as the one before; every day is a session.
fn returns(n: i32, count: usize) -> BTreeMap<Symbol, f64> {
    let of = |i: usize| {
        let sigma = 0.001 * f64::from(1_u32 << i);
        (Symbol::new(&format!("S{i}")).unwrap(), if n % 2 == 0 { sigma } else { -sigma })
    };
    (0..count).map(of).collect()
}

fn names(side: &LegSide) -> Vec<&str> {
    side.holdings.iter().map(|(s, _)| s.as_str()).collect()
}

/// Everyone told is a member.
fn feed(legs: &mut VolatilityLegs, day: SessionDate, returns: &BTreeMap<Symbol, f64>) -> Feeding {
    legs.feed(day, returns, &returns.keys().cloned().collect())
}

/// Who is no member at a sort is not ranked, but has a past when it becomes one.
#[test]
fn members_alone_are_ranked() {
    let mut legs = VolatilityLegs::new(day(0));
    let outside = returns(0, 10).into_keys().next_back().unwrap();
    let mut ranked = Vec::new();
    for n in 0..220 {
        let told = returns(n, 10);
        let members = told.keys().filter(|s| n >= 180 || **s != outside).cloned().collect();
        legs.feed(day(n), &told, &members);
        ranked.push(legs.view().unwrap().ranked);
    }
    assert_eq!((ranked[170], ranked[219]), (9, 10));
}

#[test]
fn the_calm_and_the_restless_fifth_are_held_from_the_first_month_with_enough_returns() {
    let mut legs = VolatilityLegs::new(day(0));
    for n in 0..182 {
        assert_eq!(feed(&mut legs, day(n), &returns(n, 10)), Feeding::Applied { dropped: 0 });
        let view = legs.view().unwrap();
        // 121 returns at the end of April, 152 at the end of May.
        let formed = n >= 152;
        assert_eq!(view.spread.is_ok(), formed, "{n}");
        assert_eq!(names(&view.low), if formed { vec!["S0", "S1"] } else { vec![] });
        assert_eq!(names(&view.high), if formed { vec!["S8", "S9"] } else { vec![] });
        assert!(formed || view.spread == Err(Unknown::Warming));
    }
    let view = legs.view().unwrap();
    assert_eq!((view.from, view.sorted, view.ranked), (Some(day(152)), Some(day(151)), 10));
    // In June the returns come in pairs that cancel: only the drift of the shares is left.
    assert!(view.low.simple_return.unwrap().abs() < 1e-12 && view.low.drawdown.unwrap() < 0.0);
}

#[test]
fn who_vanishes_leaves_with_its_last_return_and_comes_back_at_the_next_sort() {
    let mut legs = VolatilityLegs::new(day(0));
    (0..153).for_each(|n| assert_ne!(feed(&mut legs, day(n), &returns(n, 10)), Feeding::Refused));
    let level = 1.0 + legs.view().unwrap().high.simple_return.unwrap();
    let mut without = returns(153, 10);
    without.remove(&*"S9".to_owned()).unwrap();
    feed(&mut legs, day(153), &without);
    let view = legs.view().unwrap();
    assert_eq!(names(&view.high), ["S8"]);
    let s8 = (-0.256_f64).exp();
    assert!(((1.0 + view.high.simple_return.unwrap()) / level - s8).abs() < 1e-12);
    for n in 154..183 {
        feed(&mut legs, day(n), &returns(n, 10));
    }
    assert_eq!(names(&legs.view().unwrap().high), ["S8", "S9"]);
    // All of a leg gone: the chain is broken for good.
    feed(&mut legs, day(183), &returns(183, 8));
    let view = legs.view().unwrap();
    assert_eq!((view.spread, view.low.simple_return), (Err(Unknown::NoMember), Err(Unknown::NoMember)));
}

#[test]
fn before_the_anchor_nothing_counts() {
    let mut early = VolatilityLegs::new(day(0));
    let mut late = VolatilityLegs::new(day(171));
    let mut at_anchor = 1.0;
    for n in 0..180 {
        if n == 171 {
            at_anchor = 1.0 + early.view().unwrap().high.simple_return.unwrap();
        }
        feed(&mut early, day(n), &returns(n, 10));
        feed(&mut late, day(n), &returns(n, 10));
    }
    let (early, late) = (early.view().unwrap(), late.view().unwrap());
    assert_eq!(late.from, Some(day(171)));
    let since = (1.0 + early.high.simple_return.unwrap()) / at_anchor - 1.0;
    assert!((late.high.simple_return.unwrap() - since).abs() < 1e-12 && since.abs() > 1e-3);
}

#[test]
fn sessions_out_of_order_and_empty_ones_are_refused_and_too_many_symbols_counted() {
    let mut legs = VolatilityLegs::new(day(0));
    assert_eq!(feed(&mut legs, day(1), &BTreeMap::new()), Feeding::Refused);
    feed(&mut legs, day(1), &returns(1, 3));
    assert_eq!(feed(&mut legs, day(1), &returns(1, 3)), Feeding::Refused);
    let mut bad = returns(2, 3);
    bad.insert(Symbol::new("S0").unwrap(), f64::NAN);
    assert_eq!(feed(&mut legs, day(2), &bad), Feeding::Applied { dropped: 1 });
    let many: BTreeMap<_, _> = (0..2_050).map(|n| (Symbol::new(&format!("T{n:04}")).unwrap(), 0.0)).collect();
    assert_eq!(feed(&mut legs, day(3), &many), Feeding::Applied { dropped: 5 });
    // What is silent for long is forgotten, and there is room.
    for n in 4..40 {
        feed(&mut legs, day(n), &returns(n, 3));
    }
    assert_eq!(legs.past.len(), 3);
}
