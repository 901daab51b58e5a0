//! Keys outlive the version that wrote them: another text would make every event new. The digits are from `sha256sum`.

use milepost::adapters::ledger_key::{LedgerKeys, leg_name};
use milepost::domain::fingerprint::Fingerprint;
use milepost::domain::identity::{Account, DeliveryKey, Identity};
use milepost::domain::provider::ProviderId;

const CONTENT: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const ID: &str = "ce36863f51b6baf9d16397ffb3e9af506b284a816f72d487e55943c1fd974d6d";
const ID_AND_CONTENT: &str = "2dac441beba31f6a7bb71d77d657b5a708d4ededcd13d6ae5d55348eb880978b";

fn keys(provider_event_id: Option<&str>) -> LedgerKeys {
    let delivery = DeliveryKey {
        provider: ProviderId::new("telyport"),
        account: Account::default_account(),
        delivery_id: "D-1:x".to_owned(),
    };
    let provider_event_id = provider_event_id.map(str::to_owned);
    LedgerKeys::new(&delivery, &Identity { provider_event_id, fingerprint: Fingerprint([7; 32]) })
}

#[test]
fn an_event_with_an_id_is_kept_by_id_and_content() {
    let keys = keys(Some("event-1"));
    assert!(keys.by_id);
    assert_eq!(keys.event, format!("mp:{{telyport:default:D-1:x}}:e:{ID_AND_CONTENT}"));
    assert_eq!(keys.companion, format!("mp:{{telyport:default:D-1:x}}:i:{ID}"));
    assert_eq!(keys.content.as_str(), CONTENT);
    assert_eq!(keys.state, "mp:{telyport:default:D-1:x}:s");
}

#[test]
fn an_event_without_one_is_kept_by_content() {
    let keys = keys(None);
    assert!(!keys.by_id);
    assert_eq!(keys.event, format!("mp:{{telyport:default:D-1:x}}:e:{CONTENT}"));
    assert_eq!(keys.companion, format!("mp:{{telyport:default:D-1:x}}:a:{CONTENT}"));
    assert_eq!(keys.state, "mp:{telyport:default:D-1:x}:s");
}

#[test]
fn a_leg_has_a_name_of_one_length() {
    assert_eq!(leg_name(None), "");
    assert_eq!(leg_name(Some("Ann")), "17239b6e25011033");
}
