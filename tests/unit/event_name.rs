//! Names outlive the version that wrote them: another text would make every event new. The digests are from
//! `sha256sum`, in base64 as URLs have it.

use milepost::domain::envelope::Replay;
use milepost::domain::event_name::{EventName, leg_name};
use milepost::domain::fingerprint::Fingerprint;
use milepost::domain::identity::{Identity, ReceiptId};
use uuid::Uuid;

/// Of "event-1".
const ID: &str = "zjaGP1G2uvnRY5f_s-mvUGsoSoFvctSH5VlDwf2XTW0";
const CONTENT: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
const RECEIPT: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn name(provider_event_id: Option<&str>, replay: Option<Replay>) -> String {
    let provider_event_id = provider_event_id.map(str::to_owned);
    let identity = Identity { provider_event_id, fingerprint: Fingerprint([7; 32]) };
    let receipt: ReceiptId = RECEIPT.parse().expect("a receipt");
    EventName::new(&identity).of_occurrence(receipt, replay)
}

#[test]
fn an_event_with_an_id_is_named_by_id_and_content() {
    assert_eq!(name(Some("event-1"), None), [&ID[..8], &CONTENT[..10]].concat());
    assert_eq!(EventName::id_part("event-1"), ID[..8]);
}

#[test]
fn an_event_without_one_is_named_by_content_and_occurrence() {
    assert_eq!(name(None, None), format!("{}.099a8057", &CONTENT[..16]));
}

#[test]
fn a_forced_replay_has_a_name_of_its_own() {
    let force = Replay::Force(Uuid::from_u128(0xabcd_ef01 << 96));
    assert_eq!(name(None, Some(Replay::Normal)), name(None, None));
    assert_eq!(name(None, Some(force)), format!("{}.099a8057!abcdef01", &CONTENT[..16]));
}

#[test]
fn a_leg_has_a_name_of_one_length() {
    assert_eq!(leg_name(None), "");
    assert_eq!(leg_name(Some("Ann")), "17239b6e25011033");
}
