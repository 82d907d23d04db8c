//! Worlds that are broken on purpose: each break has to be noticed, or the checks are worth nothing. And breaks that
//! the lane has to live with.

use super::rules::Rules;
use super::sabotage::Sabotage;
use super::world::{Choice, run};

/// The first seed whose world shows the break, and what was found wrong.
fn caught(choice: Choice, mut seeds: impl Iterator<Item = u64>) -> Option<(u64, String)> {
    seeds.find_map(|seed| Some((seed, run(seed, choice).err()?)))
}

fn check(sabotage: Sabotage, is_exact: Option<bool>, within: u64, words: &str) {
    check_in(sabotage, is_exact, 1..=within, words);
}

fn check_in(sabotage: Sabotage, is_exact: Option<bool>, seeds: impl Iterator<Item = u64>, words: &str) {
    let choice = Choice { is_exact, sabotage, ..Choice::default() };
    let (seed, wrong) = caught(choice, seeds).unwrap_or_else(|| panic!("{sabotage:?} went unnoticed"));
    println!("{sabotage:?}: seed {seed}: {wrong}");
    assert!(wrong.contains(words), "{sabotage:?}, seed {seed}: {wrong}");
}

#[test]
fn a_commit_by_a_member_that_was_given_up_is_noticed() {
    check(Sabotage::NoGroupFence, Some(true), 400, "");
}

#[test]
fn a_commit_in_nobodys_name_is_noticed() {
    check(Sabotage::ProofOfNobody, Some(true), 600, "");
}

#[test]
fn two_producers_of_one_name_are_noticed() {
    // Records are only out while their transaction is sealed: few worlds end a producer just then.
    check_in(Sabotage::NoProducerFence, Some(true), 3_900..=4_100, "");
}

#[test]
fn lost_records_are_noticed() {
    check(Sabotage::LosesRecords, None, 100, "");
}

#[test]
fn a_reader_of_open_transactions_notices() {
    check(Sabotage::ShowsUncommitted, Some(true), 200, "");
}

#[test]
fn an_acknowledgement_ahead_of_its_record_is_noticed() {
    check(Sabotage::AcknowledgesEarly, Some(false), 200, "");
}

#[test]
fn a_commit_that_was_confirmed_and_forgotten_is_noticed() {
    check(Sabotage::ForgetsCommits, Some(false), 50, "");
}

#[test]
fn a_record_left_out_is_noticed() {
    check(Sabotage::SkipsInput, None, 50, "");
}

#[test]
fn a_snapshot_ahead_of_its_offset_is_noticed() {
    check(Sabotage::ForgedOffset, None, 200, "");
}

#[test]
fn a_commit_ahead_of_its_records_is_noticed() {
    check(Sabotage::CommitsAhead, None, 50, "");
}

#[test]
fn offsets_that_are_forgotten_while_their_alerts_stay_are_noticed() {
    check(Sabotage::ForgetsOffsetsUnread, Some(true), 50, "came twice");
}

/// The same where what was said can be read: dead letters and states come again, alerts do not.
#[test]
fn what_was_said_is_not_said_again_where_its_offsets_are_forgotten() {
    let choice = Choice { is_exact: Some(true), sabotage: Sabotage::ForgetsOffsets, ..Choice::default() };
    let worlds = super::number("FRAGILITY_SIM_FORGETFUL").unwrap_or(200);
    assert_eq!(caught(choice, 1..=worlds), None);
}

/// A record handed out twice under one offset, a snapshot under another's name, groups whose snapshot is gone while
/// those of the partitions are not, and snapshots of another layout, as an upgrade and its roll-back find them.
#[test]
fn what_the_lane_tells_apart_does_no_harm() {
    for (sabotage, rules, seeds) in [
        (Sabotage::RepeatsInput, None, 40),
        (Sabotage::WrongName, None, 40),
        (Sabotage::LosesGroups, Some(Rules::Grouped), 100),
        (Sabotage::OlderLayout, None, 60),
        (Sabotage::NewerLayout, None, 60),
    ] {
        let choice = Choice { rules, sabotage, ..Choice::default() };
        assert_eq!(caught(choice, 1..=seeds), None, "{sabotage:?}");
    }
}
