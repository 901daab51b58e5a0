use milepost::domain::fingerprint::Fingerprint;
use milepost::domain::identity::{Account, DeliveryKey, EventId, Identity, ReceiptId, Way};
use milepost::domain::provider::ProviderId;

const RECEIPT: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
#[test]
fn a_receipt_says_which_way_its_webhook_came() {
    let now = "2026-03-02T10:00:00Z".parse().expect("a time");
    for chance in [0x00, 0x7f, 0x80, 0xff] {
        let (sent, pulled) = (ReceiptId::new(now, &[chance; 10]), ReceiptId::pulled(now, &[chance; 10]));
        let ways = [sent.way(), sent.spooled().way(), pulled.way()];
        assert_eq!(ways, [Way::Push, Way::Spool, Way::Pull], "{chance}");
        for receipt in [sent, sent.spooled(), pulled] {
            assert_eq!(receipt.received_at(), now);
            let again: ReceiptId = receipt.to_string().parse().expect("a receipt");
            assert_eq!(again, receipt);
        }
    }
}

const OTHER_RECEIPT: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

struct Event {
    provider: &'static str,
    account: &'static str,
    id: Option<&'static str>,
    first_byte: u8,
    receipt: &'static str,
}

const BY_ID: Event = Event {
    provider: "telyport",
    account: "default",
    id: Some("29RZXABCDtzk4Uxj"),
    first_byte: 0,
    receipt: RECEIPT,
};
const BY_RECEIPT: Event = Event { id: None, ..BY_ID };

impl Event {
    fn id(&self) -> String {
        let mut fingerprint: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).expect("below 32"));
        fingerprint[0] = self.first_byte;
        let delivery = DeliveryKey {
            provider: ProviderId::new(self.provider),
            account: self.account.parse().expect("an account"),
            delivery_id: "IN250212151234".to_owned(),
        };
        let identity =
            Identity { provider_event_id: self.id.map(str::to_owned), fingerprint: Fingerprint(fingerprint) };
        let anchor: ReceiptId = self.receipt.parse().expect("a receipt");
        EventId::new(&delivery, &identity, anchor).to_string()
    }
}

/// Computed apart, with Python's hashlib: a change here would publish every event of the last days again.
#[test]
fn event_ids_are_stable() {
    assert_eq!(BY_ID.id(), "1c5a3b2629d460b53577e547e454313f");
    assert_eq!(BY_RECEIPT.id(), "af6136fc2ab828219e5e4b334eb6caa1");
}

#[test]
fn an_event_with_an_id_is_the_same_whichever_receipt_it_came_by() {
    assert_eq!(BY_ID.id(), Event { receipt: OTHER_RECEIPT, ..BY_ID }.id());
}

#[test]
fn an_event_without_an_id_is_identified_by_its_anchor() {
    assert_ne!(BY_RECEIPT.id(), Event { receipt: OTHER_RECEIPT, ..BY_RECEIPT }.id());
}

#[test]
fn each_part_of_an_events_identity_changes_its_id() {
    let events = [
        BY_ID,
        BY_RECEIPT,
        Event { provider: "247express", ..BY_ID },
        Event { account: "other", ..BY_ID },
        Event { id: Some("29RZXABCDtzk4Uxk"), ..BY_ID },
        Event { id: Some(""), ..BY_ID },
        Event { first_byte: 1, ..BY_ID },
        Event { first_byte: 1, ..BY_RECEIPT },
        Event { provider: "telyportd", account: "efault", ..BY_ID },
    ];
    let ids: std::collections::BTreeSet<_> = events.iter().map(Event::id).collect();
    assert_eq!(ids.len(), events.len());
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[test]
fn account_names_are_short_and_plain() {
    for name in ["default", "a", "0", "shop_1-eu", &"x".repeat(64)] {
        assert_eq!(name.parse::<Account>().expect("a name").as_str(), name);
    }
    for text in ["", "Shop", "a b", "a.b", "a/b", "é", "a\n", &"x".repeat(65)] {
        assert!(text.parse::<Account>().is_err(), "{text:?}");
    }
    assert_eq!(Account::default_account().to_string(), "default");
}

#[test]
fn a_receipt_is_written_as_it_is_read() {
    assert_eq!(RECEIPT.parse::<ReceiptId>().expect("a receipt").to_string(), RECEIPT);
    assert!("29RZXABCDtzk4Uxj".parse::<ReceiptId>().is_err());
}

#[test]
fn a_receipt_says_when_it_was_given_and_nothing_else_does() {
    let given = ReceiptId::given_at(RECEIPT).expect("a receipt");
    assert_eq!(given.to_string(), "2023-06-30T03:34:18.518Z");
    // Two events' ids, whose digits would be UUIDs with a time: versions 6 and 7. The search for the second once began
    // in the year 7268, and found nothing.
    for other in ["f677ad4f75c3689e975ef6b1eff87206", "98153d9107167945eb2434b8bcf254f8"] {
        assert_eq!(ReceiptId::given_at(other), None, "{other}");
    }
    for other in
        ["", "IN250212151234", "aeb4b82b-97cf-4062-9db8-a9b08996c656", "1ef21d2f-1207-6660-8c4f-419efbd44d48"]
    {
        assert_eq!(ReceiptId::given_at(other), None, "{other}");
    }
    assert_eq!(ReceiptId::given_at(&RECEIPT.to_uppercase()), None);
}
