//! Each provider's transitions, by what its documents say.

use std::collections::BTreeSet;

use milepost::domain::status::Status::{self, *};
use milepost::providers::{ALL, DASH, DELIVERECT, EXPRESS_247, HUBRISE, SAMPLE_SOURCES, TELYPORT};

use crate::support::update;

fn allowed(provider: &dyn milepost::domain::provider::Provider, course: &[Status]) {
    for pair in course.windows(2) {
        assert!(provider.transitions().allow(pair[0], pair[1]), "{}: {pair:?}", provider.id());
    }
}

fn refused(provider: &dyn milepost::domain::provider::Provider, pairs: &[(Status, Status)]) {
    for &(from, to) in pairs {
        assert!(!provider.transitions().allow(from, to), "{}: {from:?} to {to:?}", provider.id());
    }
}

#[test]
fn telyport_has_both_of_its_tables() {
    allowed(
        &TELYPORT,
        &[Created, Assigned, Created, Assigned, PickupArrived, PickedUp, HubArrived, HubDeparted],
    );
    allowed(&TELYPORT, &[Assigned, PickedUp, DropoffArrived, Delivered]);
    allowed(&TELYPORT, &[HubDeparted, Delivered]);
    allowed(&TELYPORT, &[PickedUp, ReturnInitiated, Returned]);
    allowed(&TELYPORT, &[HubArrived, Returned]);
    allowed(&TELYPORT, &[DropoffArrived, HubArrived]);
    for from in [Created, Assigned, PickupArrived] {
        allowed(&TELYPORT, &[from, Cancelled]);
    }
    refused(
        &TELYPORT,
        &[
            (Created, PickedUp),
            (PickedUp, Cancelled),
            (PickupArrived, Created),
            (Delivered, Returned),
            (Returned, Created),
            (Cancelled, Created),
        ],
    );
}

#[test]
fn express_247_has_its_flow_chart_and_what_is_seen_of_it() {
    allowed(&EXPRESS_247, &[Created, PickedUp, InTransit, DropoffEnRoute, OnHold, DropoffEnRoute, Delivered]);
    allowed(&EXPRESS_247, &[DropoffEnRoute, InTransit, DropoffEnRoute, ReturnInitiated, Returned]);
    allowed(&EXPRESS_247, &[PickedUp, Delivered]);
    allowed(&EXPRESS_247, &[OnHold, ReturnInitiated]);
    for (from, to) in [(Created, Cancelled), (PickedUp, Lost), (OnHold, Confiscated), (Cancelled, Delivered)]
    {
        allowed(&EXPRESS_247, &[from, to]);
    }
    refused(
        &EXPRESS_247,
        &[(Delivered, DropoffEnRoute), (Created, Delivered), (Returned, Lost), (Lost, Delivered)],
    );
}

#[test]
fn deliverect_and_hubrise_may_leave_steps_out_and_go_forward_only() {
    allowed(
        &DELIVERECT,
        &[Created, Assigned, PickupEnRoute, PickupApproaching, PickupArrived, DropoffEnRoute],
    );
    allowed(&DELIVERECT, &[DropoffEnRoute, DropoffApproaching, DropoffArrived, Delivered]);
    allowed(&DELIVERECT, &[Created, Delivered]);
    allowed(&DELIVERECT, &[DropoffArrived, Cancelled, Assigned]);
    refused(
        &DELIVERECT,
        &[(Assigned, Created), (Delivered, Cancelled), (Cancelled, Delivered), (PickupArrived, Assigned)],
    );
    allowed(&HUBRISE, &[Created, PickupEnRoute, PickupApproaching, PickupArrived, DropoffEnRoute]);
    allowed(&HUBRISE, &[DropoffEnRoute, DropoffApproaching, DropoffArrived, Delivered]);
    allowed(&HUBRISE, &[PickupEnRoute, PickupArrived, Cancelled]);
    refused(&HUBRISE, &[(DropoffEnRoute, PickupEnRoute), (Delivered, Cancelled), (Cancelled, Created)]);
}

#[test]
fn dash_has_both_of_its_services() {
    allowed(&DASH, &[Scheduled, Allocating, Assigned, PickupEnRoute, PickedUp, DropoffEnRoute, Delivered]);
    for reassigned in [PickupEnRoute, PickedUp, DropoffEnRoute] {
        allowed(&DASH, &[reassigned, Assigned]);
    }
    for from in [Allocating, Assigned, PickupEnRoute] {
        allowed(&DASH, &[from, Cancelled]);
    }
    allowed(
        &DASH,
        &[Preparing, OnHold, Verified, StagedForDelivery, DropoffEnRoute, Failed, StagedForDelivery],
    );
    refused(
        &DASH,
        &[
            (PickedUp, Cancelled),
            (DropoffEnRoute, Cancelled),
            (Delivered, Assigned),
            (Failed, Assigned),
            (Verified, Preparing),
            (Cancelled, Allocating),
        ],
    );
}

/// A status that no rule names could never be reached or left as expected.
#[test]
fn every_documented_status_is_in_its_providers_transitions() {
    for provider in SAMPLE_SOURCES {
        let named: BTreeSet<_> =
            provider.transitions().iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
        for sample in provider.samples() {
            let status = update(*provider, sample.body).update.status;
            assert!(named.contains(status.as_str()), "{}: {status:?}", provider.id());
        }
    }
}

#[test]
fn exactly_the_listed_transitions_are_allowed() {
    for provider in ALL {
        let rules = provider.transitions();
        let listed: Vec<_> = rules.iter().collect();
        let named = |status: &Status| listed.iter().any(|(from, to)| from == status || to == status);
        for from in Status::ALL.into_iter().filter(named) {
            for to in Status::ALL.into_iter().filter(|to| named(to) && *to != from) {
                assert_eq!(rules.allow(from, to), listed.contains(&(from, to)), "{from:?} to {to:?}");
            }
        }
    }
}
