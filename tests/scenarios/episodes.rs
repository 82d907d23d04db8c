//! An episode from its first breach to its end within the session.

use crate::harness::{Run, params_without_groups};
use crate::scene::{DAY, Scene};
use fragility::domain::AlertKind::{Close, Deescalate, Escalate, Open, Update};
use fragility::domain::{AlertState, Direction};

#[test]
fn each_tier_is_announced_once_and_the_highest_alone() {
    for sign in [1.0, -1.0] {
        let mut scene = Scene::open_of(DAY);
        assert_eq!(scene.z(10, sign * 2.99), []);
        assert_eq!(scene.z(11, sign * 3.01), [(Open, 3.0)]);
        assert_eq!(scene.z(12, sign * 6.2), [(Escalate, 6.0)], "4 is passed over");
        assert_eq!(scene.z(13, sign * 4.6), [(Deescalate, 4.0)]);
        assert_eq!(scene.z(14, sign * 6.1), [(Update, 6.0)], "regained, not announced again");
        assert_eq!(scene.z(15, sign * 8.0), [(Escalate, 8.0)]);
        assert_eq!(scene.z(16, sign * 7.6), []);
        assert_eq!(scene.z(17, sign * 8.1), []);
        assert_eq!(scene.z(18, sign * 12.0), [(Escalate, 10.0)]);
        assert_eq!(scene.z(19, sign * 3.0), [(Deescalate, 3.0)]);
        let view = scene.run.engine.symbol("ACME").unwrap();
        assert_eq!(view.direction, Some(Direction::of(sign)));
    }
}

#[test]
fn a_tier_fires_at_its_published_price_and_not_one_bit_before() {
    for tier in 0..5 {
        for is_up in [false, true] {
            let mut scene = Scene::open_of(DAY);
            let (multiple, down, up) = scene.run.engine.symbol("ACME").unwrap().tiers[tier];
            let (fires, inside) = if is_up { (up, up.next_down()) } else { (down, down.next_up()) };
            scene.price(scene.at(1), inside);
            let before = scene.said();
            assert!(before.iter().all(|a| a.tier < multiple), "{before:?}");
            scene.price(scene.at(2), fires);
            let said = scene.said();
            assert_eq!(said.len(), 1, "{multiple} {is_up}");
            assert_eq!(said[0].tier.to_bits(), multiple.to_bits());
            assert!(said[0].z.unwrap().abs() >= multiple, "exactly the multiple counts");
        }
    }
}

#[test]
fn next_tiers_name_prices_that_fire() {
    let mut scene = Scene::open_of(DAY);
    scene.price(scene.at(1), scene.at_z(-3.2));
    let mut next = scene.said()[0].next_tiers.clone();
    assert_eq!(next.iter().map(|n| n.tier).collect::<Vec<_>>(), [4.0, 6.0, 8.0, 10.0]);
    next.reverse();
    let mut secs = 100;
    while let Some(tier) = next.pop() {
        scene.price(scene.at(secs), tier.price.next_up());
        assert!(!scene.kinds().iter().any(|(kind, _)| *kind == Escalate));
        scene.price(scene.at(secs + 1), tier.price);
        assert_eq!(scene.kinds(), [(Escalate, tier.tier)]);
        secs += 100;
    }
}

#[test]
fn an_update_needs_half_a_sigma_and_a_minute() {
    let mut scene = Scene::open_of(DAY);
    assert_eq!(scene.z(0, 4.1), [(Open, 4.0)]);
    assert_eq!(scene.z(59, 4.65), [], "too soon");
    assert_eq!(scene.z(60, 4.59), [], "too little");
    assert_eq!(scene.z(61, 4.65), [(Update, 4.0)]);
    assert_eq!(scene.z(120, 5.2), [], "too soon after the update");
    assert_eq!(scene.z(121, 5.2), [(Update, 4.0)]);
    assert_eq!(scene.z(900, 5.6), [], "too little since the last one sent");
}

#[test]
fn the_tier_shown_steps_down_below_tier_less_half() {
    let mut scene = Scene::open_of(DAY);
    assert_eq!(scene.z(0, 4.0), [(Open, 4.0)]);
    let edge = scene.at_z(3.5);
    scene.price(scene.at(1), edge);
    assert_eq!(scene.kinds(), [], "at 3.5 it still is 4");
    scene.price(scene.at(2), edge.next_down());
    let said = scene.said();
    assert_eq!((said[0].kind, said[0].tier, said[0].peak_tier), (Deescalate, 3.0, 4.0));
}

#[test]
fn it_closes_after_ten_minutes_at_or_below_two_and_a_half() {
    let mut scene = Scene::open_of(DAY);
    assert_eq!(scene.z(0, 3.2), [(Open, 3.0)]);
    assert_eq!(scene.z(100, 2.4), []);
    assert_eq!(scene.z(400, 2.6), [], "above: the ten minutes begin anew");
    assert_eq!(scene.z(500, 2.4), []);
    assert_eq!(scene.z(1099, 0.1), []);
    scene.price(scene.at(1100), scene.at_z(0.5));
    let said = scene.said();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].kind, said[0].state, said[0].revision), (Close, AlertState::Provisional, 1));
    assert_eq!(scene.z(1101, 0.5), []);
}

#[test]
fn after_a_close_the_same_direction_rests_for_thirty_minutes() {
    let mut scene = Scene::open_of(DAY);
    scene.z(0, 3.2);
    scene.z(10, 1.0);
    assert_eq!(scene.z(610, 1.0), [(Close, 3.0)]);
    assert_eq!(scene.z(700, 3.5), [], "the same tier rests");
    assert_eq!(scene.z(610 + 1799, 3.5), []);
    assert_eq!(scene.z(610 + 1800, 3.5), [(Open, 3.0)]);
}

#[test]
fn a_higher_tier_or_the_other_direction_breaks_the_rest() {
    let mut scene = Scene::open_of(DAY);
    scene.z(0, 3.2);
    scene.z(10, 1.0);
    assert_eq!(scene.z(610, 1.0), [(Close, 3.0)]);
    assert_eq!(scene.z(620, -3.2), [(Open, 3.0)], "the other direction never rested");
    assert_eq!(scene.z(630, 4.1), [(Close, 3.0), (Open, 4.0)]);
}

#[test]
fn an_opposite_breach_closes_and_opens() {
    let mut scene = Scene::open_of(DAY);
    assert_eq!(scene.z(0, 4.2), [(Open, 4.0)]);
    scene.price(scene.at(5), scene.at_z(-6.4));
    let said = scene.said();
    let seen: Vec<_> = said.iter().map(|a| (a.kind, a.direction, a.tier, a.revision, a.episode)).collect();
    assert_eq!(seen, [(Close, Direction::Up, 4.0, 1, 1), (Open, Direction::Down, 6.0, 0, 2)]);
    assert_ne!(said[0].alert_id, said[1].alert_id);
}

/// A change of sign short of a breach is only a price below the closing multiple.
#[test]
fn a_change_of_sign_inside_the_first_tier_waits() {
    let mut scene = Scene::open_of(DAY);
    scene.z(0, 3.2);
    assert_eq!(scene.z(5, -2.9), []);
    assert_eq!(scene.z(604, -2.9), []);
    assert_eq!(scene.z(605, -2.9), [(Close, 3.0)]);
}

/// A multiple that is the tier to the last bit counts.
#[test]
fn exactly_three_counts() {
    let mut exact = 0;
    for cents in 101..140_u32 {
        let price = f64::from(cents);
        let sigma = (price / 100.0).ln() / 3.0;
        if ((price / 100.0).ln() / sigma).to_bits() != 3.0_f64.to_bits() {
            continue;
        }
        exact += 1;
        let mut run = Run::new(params_without_groups());
        run.applied(&format!(r#"{{"type":"reference","symbol":"X","prev_close":100,"sigma_daily":{sigma}}}"#));
        let open = run.session(DAY).open;
        run.tick("X", open, price);
        assert_eq!(run.kinds(), [(Open, 3.0)], "{price}");
        run.close("X", DAY, price);
        assert_eq!(run.said()[0].state, AlertState::Confirmed, "{price}");
    }
    assert!(exact > 20, "{exact} prices have a multiple of exactly 3");
}

#[test]
fn rules_can_change_while_an_episode_is_open() {
    let mut scene = Scene::open_of(DAY);
    assert_eq!(scene.z(10, 6.1), [(Open, 6.0)]);
    let mut fresh = params_without_groups();
    fresh.rules.tiers = vec![2.0, 5.0, 7.0];
    fresh.rules.close_at = 1.5;
    scene.run.engine.reload(fresh);
    assert_eq!(scene.z(11, 6.2), [], "tier 6 has become tier 5");
    assert_eq!(scene.z(12, 7.0), [(Escalate, 7.0)]);
    assert_eq!(scene.z(13, 2.2), [(Deescalate, 2.0)]);
}

#[test]
fn the_range_of_the_session_covers_every_price() {
    let mut scene = Scene::open_of(DAY);
    for (secs, price) in [(1, 100.2), (2, 99.7), (3, 100.1)] {
        scene.price(scene.at(secs), price);
    }
    assert_eq!(scene.run.engine.symbol("ACME").unwrap().extremes, Some((99.7, 100.2)));
}
