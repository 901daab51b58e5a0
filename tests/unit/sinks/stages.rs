//! The status map, line by line as `docs/hubrise.md` has it.

use milepost::domain::status::{Phase, Status};
use milepost::sinks::hubrise::core::stage::{Effect, MAP, Overrides, Stage, effect, effect_named};

/// The facts' table.
const EXPECTED: [(&str, &str); 26] = [
    ("scheduled", "begin"),
    ("created", "begin"),
    ("preparing", "begin"),
    ("verified", "begin"),
    ("allocating", "begin"),
    ("staged_for_delivery", "begin"),
    ("assigned", "pickup_enroute"),
    ("pickup_en_route", "pickup_enroute"),
    ("pickup_approaching", "pickup_approaching"),
    ("pickup_arrived", "pickup_waiting"),
    ("picked_up", "dropoff_enroute"),
    ("in_transit", "dropoff_enroute"),
    ("hub_arrived", "dropoff_enroute"),
    ("hub_departed", "dropoff_enroute"),
    ("dropoff_en_route", "dropoff_enroute"),
    ("dropoff_approaching", "dropoff_approaching"),
    ("dropoff_arrived", "dropoff_waiting"),
    ("delivered", "delivered"),
    ("cancelled", "cancelled"),
    ("failed", "cancelled"),
    ("lost", "cancelled"),
    ("confiscated", "cancelled"),
    ("returned", "cancelled"),
    ("on_hold", "keep"),
    ("return_initiated", "keep"),
    ("unknown", "keep"),
];

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Show(stage) => stage.as_str(),
        Effect::Begin => "begin",
        Effect::Keep => "keep",
    }
}

#[test]
fn every_status_becomes_what_the_facts_say() {
    for (status, expected) in EXPECTED {
        assert_eq!(word(effect(status, Phase::Unknown, &Overrides::new())), expected, "{status}");
    }
    assert_eq!(EXPECTED.len(), Status::ALL.len());
}

#[test]
fn every_line_has_its_reason() {
    for status in Status::ALL {
        let lines: Vec<_> = MAP.iter().filter(|line| line.status == status).collect();
        assert_eq!(lines.len(), 1, "{status:?}");
        assert!(!lines[0].why.is_empty());
    }
}

#[test]
fn a_connection_may_choose_where_the_map_loses_something() {
    let chosen = |status: &str| {
        let line = MAP.iter().find(|line| line.status.as_str() == status).expect("a line");
        line.instead.iter().map(|effect| word(*effect)).collect::<Vec<_>>()
    };
    assert_eq!(chosen("picked_up"), ["keep", "pickup_waiting"]);
    assert_eq!(chosen("returned"), ["keep"]);
    assert_eq!(chosen("delivered"), [""; 0]);
    let overrides = Overrides::from([("picked_up".to_owned(), Effect::Show(Stage::PickupWaiting))]);
    assert_eq!(word(effect("picked_up", Phase::Transit, &overrides)), "pickup_waiting");
    assert_eq!(word(effect("returned", Phase::Closed, &overrides)), "cancelled");
    assert_eq!(effect_named("keep"), Some(Effect::Keep));
    assert_eq!(effect_named("begin"), None);
}

#[test]
fn a_status_of_tomorrow_is_taken_by_its_phase() {
    let by_phase = |phase| word(effect("levitating", phase, &Overrides::new()));
    let words: Vec<_> = Phase::ALL.map(by_phase).into();
    assert_eq!(
        words,
        ["begin", "pickup_enroute", "dropoff_enroute", "dropoff_enroute", "keep", "keep", "keep"]
    );
}

/// The table in `docs/hubrise.md`: each status, what HubRise shows, what may be chosen, and why.
#[test]
fn the_page_has_the_map() {
    let page = include_str!("../../../docs/hubrise.md");
    let (_, table) =
        page.split_once("| update | HubRise shows | may be chosen instead | why |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<_>> =
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert_eq!(rows.len(), MAP.len());
    for row in rows {
        let [status, shows, instead, why] = row[..] else { panic!("{row:?}") };
        let line =
            MAP.iter().find(|line| line.status.as_str() == status.trim_matches('`')).expect("a status");
        let shown = match line.effect {
            Effect::Show(stage) => format!("`{}`", stage.as_str()),
            Effect::Begin => "`pending`, if there is nothing further yet".to_owned(),
            Effect::Keep => "\u{2013}".to_owned(),
        };
        let chosen: Vec<_> = line.instead.iter().map(|effect| format!("`{}`", word(*effect))).collect();
        assert_eq!((shows, instead, why), (shown.as_str(), chosen.join(", ").as_str(), line.why), "{status}");
    }
}
