//! What the doctor says of the spools.

use milepost::app::doctor::{Facts, Finding, Level, SpoolFacts, diagnose};
use milepost::domain::provider::ProviderId;
use milepost::ports::DurabilityProof;

use super::{TELYPORT, broker, facts, found, of, redis, wrong};

const DELIVERECT: ProviderId = ProviderId::new("deliverect");

fn with(change: impl FnOnce(&mut SpoolFacts)) -> Facts {
    let mut spool = SpoolFacts {
        spooling: vec![DELIVERECT],
        proof: Ok(DurabilityProof::EachWrite),
        waiting: vec![(DELIVERECT, Some(0)), (TELYPORT, Some(0))],
        max_bytes: 64 << 20,
    };
    change(&mut spool);
    Facts { spool: Some(spool), ..facts(broker(found()), redis()) }
}

fn spoken(change: impl FnOnce(&mut SpoolFacts)) -> Vec<Finding> {
    diagnose(&with(change))
}

#[test]
fn what_proves_a_write_is_said() {
    for (proof, says) in
        [(DurabilityProof::EachWrite, "WAITAOF"), (DurabilityProof::EveryAnswer, "appendfsync always")]
    {
        let findings = spoken(|spool| spool.proof = Ok(proof));
        assert_eq!(wrong(&findings), []);
        let says_it = &of(&findings, "spool_durable").says;
        assert!(says_it.contains(says) && says_it.contains("deliverect"), "{says_it}");
    }
}

#[test]
fn a_redis_that_proves_nothing_is_a_warning_for_those_who_spool() {
    let findings = spoken(|spool| spool.proof = Err("it keeps no append-only file"));
    assert_eq!(wrong(&findings), [(Level::Warn, "spool_durable", "spool")]);
    assert!(of(&findings, "spool_durable").says.contains("503"));
    let without_spooling = spoken(|spool| {
        spool.proof = Err("it keeps no append-only file");
        spool.spooling.clear();
    });
    assert_eq!(wrong(&without_spooling), []);
}

#[test]
fn what_waits_is_said_and_fails_if_it_is_not_drained() {
    let findings = spoken(|spool| spool.waiting = vec![(DELIVERECT, Some(3)), (TELYPORT, Some(2))]);
    let said = [
        (Level::Warn, "spool_waiting", "spool of deliverect"),
        (Level::Fail, "spool_waiting", "spool of telyport"),
    ];
    assert_eq!(wrong(&findings), said);
    assert_eq!(wrong(&spoken(|spool| spool.waiting = vec![(DELIVERECT, None)])), []);
}

#[test]
fn spools_that_could_fill_redis_are_a_warning() {
    let mut facts = with(|_| {});
    for (most_mib, warns) in [(0, false), (127, true), (128, false)] {
        let mut redis = redis();
        redis.nodes[0].max_bytes = Some(most_mib << 20);
        redis.nodes[0].used_bytes = Some(1 << 20);
        facts.redis = Some(Ok(redis));
        let findings = diagnose(&facts);
        let said = findings.iter().any(|finding| finding.check == "spool_room");
        assert_eq!(said, warns, "{most_mib} MiB");
    }
}
