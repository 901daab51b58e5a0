//! What is done about an update: each case of the procedure.

use milepost::sinks::hubrise::core::answer::{ApiAnswer, ApiRejection, DeliveryOfOrder, OrderSeen};
use milepost::sinks::hubrise::core::decide::{Obstacle, OrderOutcome, RetryCause, Run, Step, admit, decide};
use milepost::sinks::hubrise::core::field::Field;
use milepost::sinks::hubrise::core::learn::{Lesson, learn};
use milepost::sinks::hubrise::core::record::{HubriseSide, OrderRecord, Sending};
use milepost::sinks::hubrise::core::request::{Class, Request};
use milepost::sinks::update::Update;
use serde_json::{Value, json};

use super::{Desk, MINUTE, SECOND, update};

/// One order, as the sink sees it.
struct Order {
    record: OrderRecord,
    desk: Desk,
    run: Run,
}

impl Order {
    fn new() -> Self {
        Self { record: OrderRecord::default(), desk: Desk::new(), run: Run::default() }
    }

    /// One whose delivery is made, by `update`.
    fn with(first: &Update) -> Self {
        let mut order = Self::new();
        assert_eq!(order.step(first), Step::Send(Request::GetOrder));
        order.learn(first, &Request::GetOrder, none());
        let Step::Send(post @ Request::Post(_)) = order.step(first) else { panic!("no POST") };
        order.learn(first, &post, ApiAnswer::Done);
        assert_eq!(order.step(first), Step::Done(OrderOutcome::Shown));
        order
    }

    fn step(&mut self, update: &Update) -> Step {
        let case = self.desk.case(update);
        match admit(&mut self.record, &case) {
            Ok(()) => decide(&self.record, &case, &self.run),
            Err(step) => step,
        }
    }

    fn learn(&mut self, update: &Update, request: &Request, answer: ApiAnswer) -> Lesson {
        learn(&mut self.record, &self.desk.case(update), &mut self.run, request, answer)
    }

    /// The JSON of the request that is next.
    fn body(&mut self, update: &Update) -> Value {
        match self.step(update) {
            Step::Send(request) => request.body().expect("a body"),
            other => panic!("{other:?}"),
        }
    }

    /// Sends what is next, and says what that was.
    fn sent(&mut self, update: &Update) -> Value {
        let Step::Send(request) = self.step(update) else { panic!("nothing to send") };
        assert_eq!(self.learn(update, &request, ApiAnswer::Done), Lesson::GoOn);
        request.body().expect("a body")
    }
}

fn none() -> ApiAnswer {
    order(&json!({ "service_type": "delivery", "delivery": null }))
}

fn order(json: &Value) -> ApiAnswer {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let delivery = match &json["delivery"] {
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| Some((Field::named(name)?, value.as_str()?.to_owned()));
            DeliveryOfOrder::Some(fields.iter().filter_map(field).collect())
        }
        Value::Null => DeliveryOfOrder::None,
        _ => DeliveryOfOrder::Unsaid,
    };
    ApiAnswer::Order(OrderSeen { service_type: text("service_type"), status: text("status"), delivery })
}

fn assigned() -> Update {
    let courier = json!({ "courier": { "name": "Sample Rider", "phone": "+33100000000" } });
    update(1, "assigned", &courier)
}

fn after(previous: &str, sequence: u64, status: &str, data: &Value) -> Update {
    let mut data = data.clone();
    data["previous_status"] = json!(previous);
    update(sequence, status, &data)
}

fn at(latitude: &str) -> Value {
    json!({ "position": { "latitude": latitude, "longitude": "4.8357" } })
}

#[test]
fn the_documented_post() {
    let mut order = Order::new();
    assert_eq!(order.step(&assigned()), Step::Send(Request::GetOrder), "it looks before it writes");
    assert_eq!(order.learn(&assigned(), &Request::GetOrder, none()), Lesson::GoOn);
    let Step::Send(post) = order.step(&assigned()) else { panic!("no POST") };
    assert_eq!((post.method(), post.class()), ("POST", Class::Status));
    assert_eq!(post.path("ab12c-0", "7kq2m").join("/"), "locations/ab12c-0/orders/7kq2m/delivery");
    assert_eq!(
        post.body(),
        Some(json!({
            "carrier": "Telyport", "carrier_ref": "telyport", "ref": "TLP-88410", "status": "pickup_enroute",
            "assigned_at": "2026-03-02T09:14:05+00:00", "driver_name": "Sample Rider",
            "driver_phone": "+33100000000",
        }))
    );
}

#[test]
fn the_documented_patch() {
    let mut order = Order::with(&assigned());
    let mut data = at("45.764");
    data["time"] = json!("2026-03-02T09:31:40Z");
    let picked_up = after("assigned", 2, "picked_up", &data);
    let Step::Send(patch) = order.step(&picked_up) else { panic!("no PATCH") };
    assert_eq!(patch.method(), "PATCH");
    assert_eq!(patch.path("ab12c-0", "7kq2m").join("/"), "locations/ab12c-0/orders/7kq2m/delivery");
    assert_eq!(
        patch.body(),
        Some(json!({
            "status": "dropoff_enroute", "pickup_at": "2026-03-02T09:31:40+00:00",
            "driver_latitude": "45.764", "driver_longitude": "4.8357",
        }))
    );
}

#[test]
fn a_post_has_all_that_is_known_and_a_patch_never_the_fixed_fields() {
    let everything = json!({
        "fee": { "amount": "18000", "currency": "IDR" }, "tracking_url": "https://t.example/1",
        "eta": { "pickup_at": { "utc": "2026-03-02T09:20:00.5Z" }, "dropoff_at": { "utc": "2026-03-02T09:40:00Z" } },
        "courier": { "name": "Sample Rider", "phone_access_code": "12" },
    });
    let mut order = Order::new();
    let first = update(1, "created", &everything);
    order.step(&first);
    order.learn(&first, &Request::GetOrder, none());
    assert_eq!(
        order.sent(&first),
        json!({
            "carrier": "Telyport", "carrier_ref": "telyport", "ref": "TLP-88410", "status": "pending",
            "fee": "18000.00 IDR", "tracking_url": "https://t.example/1", "driver_name": "Sample Rider",
            "driver_phone_access_code": "12", "estimated_pickup_at": "2026-03-02T09:20:00+00:00",
            "estimated_dropoff_at": "2026-03-02T09:40:00+00:00",
        })
    );
    let dearer = after("created", 2, "assigned", &json!({ "fee": { "amount": "20000", "currency": "IDR" } }));
    let patch = json!({ "status": "pickup_enroute", "assigned_at": "2026-03-02T09:14:05+00:00" });
    assert_eq!(order.sent(&dearer), patch);
}

#[test]
fn each_transition_has_its_time() {
    let mut order = Order::with(&update(1, "created", &json!({})));
    let mut step = |sequence, previous, status, time: &str| {
        order.sent(&after(previous, sequence, status, &json!({ "time": time })))
    };
    assert_eq!(
        step(2, "created", "assigned", "2026-03-02T09:01:00Z"),
        json!({ "status": "pickup_enroute", "assigned_at": "2026-03-02T09:01:00+00:00" })
    );
    assert_eq!(
        step(3, "assigned", "pickup_arrived", "2026-03-02T09:02:00Z"),
        json!({ "status": "pickup_waiting" })
    );
    assert_eq!(
        step(4, "pickup_arrived", "picked_up", "2026-03-02T09:03:00Z"),
        json!({ "status": "dropoff_enroute", "pickup_at": "2026-03-02T09:03:00+00:00" })
    );
    assert_eq!(
        step(5, "picked_up", "delivered", "2026-03-02T09:04:00Z"),
        json!({ "status": "delivered", "delivered_at": "2026-03-02T09:04:00+00:00" })
    );
    assert_eq!(
        step(6, "delivered", "cancelled", "2026-03-02T09:05:00Z"),
        json!({ "status": "cancelled", "cancelled_at": "2026-03-02T09:05:00+00:00" })
    );
}

#[test]
fn nothing_unchanged_is_sent() {
    let mut order = Order::with(&assigned());
    assert_eq!(order.step(&assigned()), Step::Done(OrderOutcome::Shown));
    let same = after("assigned", 2, "pickup_en_route", &json!({ "courier": { "name": "Sample Rider" } }));
    assert_eq!(order.step(&same), Step::Done(OrderOutcome::Shown));
}

#[test]
fn several_updates_are_sent_as_what_they_add_up_to() {
    let mut order = Order::with(&update(1, "created", &json!({})));
    let assigned = after("created", 2, "assigned", &json!({ "time": "2026-03-02T09:01:00Z" }));
    let arrived = after("assigned", 3, "pickup_arrived", &at("45.1"));
    let picked_up = after("pickup_arrived", 4, "picked_up", &json!({ "time": "2026-03-02T09:03:00Z" }));
    order.step(&picked_up);
    order.step(&arrived);
    let sent = json!({
        "status": "dropoff_enroute", "assigned_at": "2026-03-02T09:01:00+00:00",
        "pickup_at": "2026-03-02T09:03:00+00:00", "driver_latitude": "45.1", "driver_longitude": "4.8357",
    });
    assert_eq!(order.sent(&assigned), sent, "the oldest of them sends it all");
    for other in [&arrived, &picked_up] {
        assert_eq!(order.step(other), Step::Done(OrderOutcome::Shown));
    }
}

#[test]
fn positions_are_sent_at_intervals_and_the_newest_wins() {
    let mut order = Order::with(&assigned());
    let first = after("assigned", 2, "assigned", &at("45.1"));
    assert_eq!(order.sent(&first), json!({ "driver_latitude": "45.1", "driver_longitude": "4.8357" }));
    order.desk.now_ms += 10 * SECOND;
    let second = after("assigned", 3, "assigned", &at("45.2"));
    let third = after("assigned", 4, "assigned", &at("45.3"));
    assert_eq!(order.step(&second), Step::Wait(20 * SECOND));
    order.desk.now_ms += 10 * SECOND;
    assert_eq!(order.step(&third), Step::Wait(10 * SECOND));
    assert_eq!(order.step(&second), Step::Done(OrderOutcome::Shown), "the third answers for it");
    order.desk.now_ms += 10 * SECOND;
    let Step::Send(patch) = order.step(&third) else { panic!("nothing to send") };
    assert_eq!(patch.class(), Class::Frequent);
    assert_eq!(patch.body(), Some(json!({ "driver_latitude": "45.3", "driver_longitude": "4.8357" })));
}

#[test]
fn a_status_does_not_wait_and_takes_positions_along() {
    let mut order = Order::with(&assigned());
    order.sent(&after("assigned", 2, "assigned", &at("45.1")));
    order.desk.now_ms += SECOND;
    let moved = after("assigned", 3, "assigned", &at("45.2"));
    assert_eq!(order.step(&moved), Step::Wait(29 * SECOND));
    let sent = order.sent(&after("assigned", 4, "pickup_arrived", &json!({})));
    assert_eq!(
        sent,
        json!({ "status": "pickup_waiting", "driver_latitude": "45.2", "driver_longitude": "4.8357" })
    );
    assert_eq!(order.step(&moved), Step::Done(OrderOutcome::Shown));
    let again = after("pickup_arrived", 5, "pickup_arrived", &at("45.3"));
    assert_eq!(order.step(&again), Step::Wait(30 * SECOND), "the interval begins anew");
}

#[test]
fn a_late_update_is_never_sent() {
    let mut order = Order::with(&assigned());
    let late = update(9, "created", &json!({ "order": "late", "tracking_url": "https://t.example/1" }));
    assert_eq!(order.step(&late), Step::Done(OrderOutcome::Late));
    assert_eq!(order.record.pending().len(), 0);
}

#[test]
fn nothing_is_sent_after_the_end_but_a_correction() {
    let mut order = Order::with(&assigned());
    order.sent(&after("assigned", 2, "delivered", &json!({})));
    for (sequence, status, data) in [
        (3, "delivered", at("45.9")),
        (4, "dropoff_arrived", json!({ "order": "unexpected" })),
        (5, "unknown", json!({})),
    ] {
        let update = after("delivered", sequence, status, &data);
        assert!(matches!(order.step(&update), Step::Done(_)), "{status}");
    }
    let correction = after("delivered", 6, "cancelled", &json!({ "time": "2026-03-02T10:00:00Z" }));
    let sent = order.sent(&correction);
    assert_eq!(
        (&sent["status"], &sent["cancelled_at"]),
        (&json!("cancelled"), &json!("2026-03-02T10:00:00+00:00"))
    );
}

#[test]
fn an_update_overtaken_by_the_end_still_sets_its_time() {
    let mut order = Order::with(&assigned());
    order.sent(&after("picked_up", 3, "delivered", &json!({ "time": "2026-03-02T09:30:00Z" })));
    let overtaken = json!({ "time": "2026-03-02T09:20:00Z", "tracking_url": "https://t.example/1" });
    let sent = order.sent(&after("assigned", 2, "picked_up", &overtaken));
    assert_eq!(sent, json!({ "pickup_at": "2026-03-02T09:20:00+00:00" }));
}

#[test]
fn a_reassignment_goes_back() {
    let mut order = Order::with(&assigned());
    order.sent(&after("assigned", 2, "picked_up", &json!({})));
    let other = json!({ "time": "2026-03-02T10:00:00Z", "courier": { "name": "Another Rider" } });
    assert_eq!(
        order.sent(&after("picked_up", 3, "assigned", &other)),
        json!({
            "status": "pickup_enroute", "assigned_at": "2026-03-02T10:00:00+00:00", "driver_name": "Another Rider",
        })
    );
    assert_eq!(order.sent(&after("assigned", 4, "created", &json!({})))["status"], "pending");
}

#[test]
fn without_a_status_nothing_is_made() {
    let mut order = Order::new();
    let held = update(1, "on_hold", &json!({ "courier": { "name": "Sample Rider" } }));
    assert_eq!(order.step(&held), Step::Done(OrderOutcome::NoStatus));
    let created = update(2, "created", &json!({}));
    order.step(&created);
    order.learn(&created, &Request::GetOrder, none());
    assert_eq!(order.body(&created)["driver_name"], "Sample Rider", "it was remembered");
}

#[test]
fn an_order_that_is_not_there_is_waited_for() {
    let mut order = Order::new();
    order.step(&assigned());
    let lesson = order.learn(&assigned(), &Request::GetOrder, ApiAnswer::NotFound);
    assert_eq!(lesson, Lesson::End(Step::Retry(RetryCause::NoOrder)));
    assert_eq!(order.step(&assigned()), Step::Send(Request::GetOrder));
}

#[test]
fn an_order_that_is_not_delivered_is_left_alone() {
    let mut order = Order::new();
    order.step(&assigned());
    let collected = self::order(&json!({ "service_type": "collection", "delivery": null }));
    let lesson = order.learn(&assigned(), &Request::GetOrder, collected);
    assert_eq!(lesson, Lesson::End(Step::Park(Obstacle::NotADelivery)));
}

#[test]
fn somebody_elses_delivery_is_never_written_to() {
    for foreign in [
        json!({ "carrier": "Uber Direct", "carrier_ref": "uber_direct", "ref": "u1", "status": "pending" }),
        json!({ "carrier": "Telyport", "carrier_ref": "telyport", "ref": "TLP-other", "status": "pending" }),
        json!({ "carrier": "Telyport", "status": "pending" }),
        json!({ "carrier": "Uber Direct", "carrier_ref": "uber_direct", "ref": "TLP-88410", "status": "cancelled" }),
    ] {
        let mut order = Order::new();
        order.step(&assigned());
        let seen = self::order(&json!({ "service_type": "delivery", "delivery": foreign }));
        let lesson = order.learn(&assigned(), &Request::GetOrder, seen);
        assert_eq!(lesson, Lesson::End(Step::Park(Obstacle::Foreign)), "{foreign}");
        assert_eq!(order.record.known, HubriseSide::Nothing);
    }
}

#[test]
fn our_own_delivery_is_taken_up_where_it_is() {
    let mut order = Order::new();
    order.step(&assigned());
    let seen = self::order(&json!({ "service_type": "delivery", "delivery": {
        "carrier": "Telyport", "carrier_ref": "telyport", "ref": "TLP-88410", "status": "pickup_enroute",
        "assigned_at": "2026-03-02T10:14:05+01:00", "driver_name": "Sample Rider",
    } }));
    order.learn(&assigned(), &Request::GetOrder, seen);
    assert_eq!(order.body(&assigned()), json!({ "driver_phone": "+33100000000" }));
}

#[test]
fn what_hubrise_shows_beyond_what_we_remember_is_not_taken_back() {
    // The record was lost; an update that waited for a retry is the first to come again.
    let mut order = Order::new();
    let reassigned =
        after("picked_up", 1_772_442_000_500, "assigned", &json!({ "time": "2026-03-02T09:00:00Z" }));
    order.step(&reassigned);
    let seen = self::order(&json!({ "service_type": "delivery", "delivery": {
        "carrier": "Telyport", "carrier_ref": "telyport", "ref": "TLP-88410", "status": "dropoff_enroute",
        "assigned_at": "2026-03-02T10:00:00+01:00", "pickup_at": "2026-03-02T10:10:00+01:00",
    } }));
    order.learn(&reassigned, &Request::GetOrder, seen);
    assert_eq!(order.step(&reassigned), Step::Done(OrderOutcome::Shown));
}

#[test]
fn a_post_that_failed_is_followed_by_a_look() {
    for answer in [
        ApiAnswer::Away("a server's error"),
        ApiAnswer::NotFound,
        ApiAnswer::Limited { retry_after: None },
        ApiAnswer::Denied { code: 401, message: String::new() },
        ApiAnswer::Rejected(ApiRejection::default()),
    ] {
        let mut order = Order::new();
        order.step(&assigned());
        order.learn(&assigned(), &Request::GetOrder, none());
        let Step::Send(post) = order.step(&assigned()) else { panic!("no POST") };
        order.learn(&assigned(), &post, answer.clone());
        assert_eq!(order.step(&assigned()), Step::Send(Request::GetOrder), "{answer:?}");
    }
}

#[test]
fn a_patch_that_finds_nothing_is_followed_by_a_look() {
    let mut order = Order::with(&assigned());
    let picked_up = after("assigned", 2, "picked_up", &json!({}));
    let Step::Send(patch) = order.step(&picked_up) else { panic!("no PATCH") };
    assert_eq!(order.learn(&picked_up, &patch, ApiAnswer::NotFound), Lesson::GoOn);
    assert_eq!(order.step(&picked_up), Step::Send(Request::GetOrder));
    order.learn(&picked_up, &Request::GetOrder, none());
    assert_eq!(order.body(&picked_up)["carrier"], "Telyport");
}

#[test]
fn an_order_that_does_not_say_is_asked_for_its_delivery() {
    let mut order = Order::new();
    order.step(&assigned());
    order.learn(&assigned(), &Request::GetOrder, self::order(&json!({ "delivery": "?" })));
    assert_eq!(order.step(&assigned()), Step::Send(Request::GetDelivery));
    order.learn(&assigned(), &Request::GetDelivery, ApiAnswer::NotFound);
    assert_eq!(order.body(&assigned())["carrier"], "Telyport");
}

#[test]
fn a_patch_of_which_nothing_is_known_is_repeated() {
    let mut order = Order::with(&assigned());
    let picked_up = after("assigned", 2, "picked_up", &json!({}));
    let Step::Send(patch) = order.step(&picked_up) else { panic!("no PATCH") };
    assert_eq!(order.learn(&picked_up, &patch, ApiAnswer::Away("timeout")), Lesson::Away("timeout"));
    assert_eq!(order.step(&picked_up), Step::Send(patch));
}

#[test]
fn what_a_dead_replica_was_sending_is_doubted() {
    let mut order = Order::with(&update(1, "created", &json!({ "tracking_url": "https://t.example/a" })));
    order.record.doubt(&Sending::Patch(vec![Field::TrackingUrl]));
    let again = after("created", 2, "created", &json!({ "tracking_url": "https://t.example/a" }));
    assert_eq!(order.body(&again), json!({ "tracking_url": "https://t.example/a" }));
    order.record.doubt(&Sending::Post);
    assert_eq!(order.step(&again), Step::Send(Request::GetOrder));
}

#[test]
fn a_refused_field_does_not_hold_up_the_status() {
    let mut order = Order::with(&update(1, "created", &json!({})));
    let assigned = after("created", 2, "assigned", &json!({ "courier": { "name": "R", "phone": "soon" } }));
    let Step::Send(patch) = order.step(&assigned) else { panic!("no PATCH") };
    let rejection =
        ApiRejection { fields: vec![Field::DriverPhone], text: "driver_phone: is invalid".to_owned() };
    let lesson = order.learn(&assigned, &patch, ApiAnswer::Rejected(rejection.clone()));
    assert_eq!(lesson, Lesson::Refused(rejection));
    let rest = order.sent(&assigned);
    assert_eq!((rest["status"].as_str(), rest.get("driver_phone")), (Some("pickup_enroute"), None));
    assert_eq!(order.step(&assigned), Step::Refused("driver_phone: is invalid".to_owned()));
    order.record.forgive();
    assert_eq!(order.sent(&assigned), json!({ "driver_phone": "soon" }), "a replay sends it again");
}

/// HubRise's times are of whole seconds.
#[test]
fn two_statuses_of_one_second_are_both_caught_up_with() {
    let mut order = Order::new();
    order.step(&assigned());
    let shown = json!({
        "carrier": "Telyport", "carrier_ref": "telyport", "ref": "TLP-88410", "status": "cancelled",
        "assigned_at": "2026-03-02T09:14:05+00:00", "cancelled_at": "2026-03-02T09:14:05+00:00",
    });
    order.learn(&assigned(), &Request::GetOrder, self::order(&json!({ "delivery": shown })));
    assert_eq!(order.step(&assigned()), Step::Done(OrderOutcome::Shown), "it is not taken back");
}

/// A crash or an outage of Redis may come between the answer and the parking: what is left is the record.
#[test]
fn a_refusal_is_remembered_until_its_update_is_parked() {
    let mut order = Order::new();
    order.step(&assigned());
    order.learn(&assigned(), &Request::GetOrder, none());
    let Step::Send(post) = order.step(&assigned()) else { panic!("no POST") };
    let rejection = ApiRejection { fields: vec![Field::Status], text: "status: is invalid".to_owned() };
    order.learn(&assigned(), &post, ApiAnswer::Rejected(rejection));
    order.learn(&assigned(), &Request::GetOrder, none());
    order.run = Run::default();
    assert_eq!(order.step(&assigned()), Step::Refused("status: is invalid".to_owned()));
}

/// HubRise does not say why a POST is refused. One that was late had made the delivery meanwhile.
#[test]
fn a_post_that_is_refused_as_there_is_a_delivery_refuses_nothing() {
    let mut order = Order::new();
    order.step(&assigned());
    order.learn(&assigned(), &Request::GetOrder, none());
    let Step::Send(post) = order.step(&assigned()) else { panic!("no POST") };
    assert_eq!(order.learn(&assigned(), &post, ApiAnswer::Rejected(ApiRejection::default())), Lesson::GoOn);
    let there =
        json!({ "carrier": "Telyport", "carrier_ref": "telyport", "ref": "TLP-88410", "status": "pending" });
    order.learn(&assigned(), &Request::GetOrder, self::order(&json!({ "delivery": there })));
    assert_eq!(order.sent(&assigned())["status"], "pickup_enroute");
    assert_eq!(order.step(&assigned()), Step::Done(OrderOutcome::Shown));
}

#[test]
fn a_refused_status_is_not_sent_again_but_the_next_one_is() {
    let mut order = Order::with(&update(1, "created", &json!({})));
    let assigned = after("created", 2, "assigned", &json!({}));
    let Step::Send(patch) = order.step(&assigned) else { panic!("no PATCH") };
    order.learn(&assigned, &patch, ApiAnswer::Rejected(ApiRejection::default()));
    let time = json!({ "assigned_at": "2026-03-02T09:14:05+00:00" });
    assert_eq!(order.sent(&assigned), time);
    let mut replayed = order.record.clone();
    replayed.forgive();
    let both = replayed.pending();
    assert!(both.contains_key(&Field::Status) && both.contains_key(&Field::AssignedAt), "{both:?}");
    assert_eq!(order.sent(&after("assigned", 3, "delivered", &json!({})))["status"], "delivered");
}

fn of_delivery(id: &str, sequence: u64, status: &str, data: &Value) -> Update {
    let mut data = data.clone();
    data["delivery_id"] = json!(id);
    update(sequence, status, &data)
}

#[test]
fn after_a_cancellation_the_order_may_have_another_delivery_of_the_carrier() {
    let mut order = Order::with(&assigned());
    let second = of_delivery("TLP-2", 5, "created", &json!({}));
    assert_eq!(order.step(&second), Step::Retry(RetryCause::OtherDelivery), "the first is under way");
    order.sent(&after("assigned", 2, "cancelled", &json!({})));
    assert_eq!(order.sent(&second), json!({ "ref": "TLP-2", "status": "pending" }));
    assert_eq!(order.step(&assigned()), Step::Done(OrderOutcome::Former));
}

#[test]
fn a_second_carrier_and_a_second_delivery_are_for_an_operator() {
    let mut order = Order::with(&assigned());
    order.sent(&after("assigned", 2, "cancelled", &json!({})));
    let other = of_delivery("DE-1", 5, "created", &json!({ "provider": "dash" }));
    assert_eq!(order.step(&other), Step::Park(Obstacle::Second));
    order.sent(&after("cancelled", 3, "delivered", &json!({})));
    assert_eq!(order.step(&of_delivery("TLP-2", 5, "created", &json!({}))), Step::Park(Obstacle::Second));
    let older = of_delivery("TLP-0", 0, "created", &json!({}));
    assert_eq!(order.step(&older), Step::Done(OrderOutcome::Former));
}

#[test]
fn the_orders_own_status_follows_where_it_is_asked_for() {
    let mut order = Order::new();
    order.desk.style.order_status = true;
    let picked_up = update(1, "picked_up", &json!({}));
    order.step(&picked_up);
    order.learn(&picked_up, &Request::GetOrder, none());
    order.sent(&picked_up);
    assert_eq!(order.step(&picked_up), Step::Send(Request::PatchOrder("in_delivery")));
    order.learn(&picked_up, &Request::PatchOrder("in_delivery"), ApiAnswer::Done);
    assert_eq!(order.step(&picked_up), Step::Done(OrderOutcome::Shown));

    order.run = Run::default();
    let delivered = after("picked_up", 2, "delivered", &json!({}));
    order.sent(&delivered);
    assert_eq!(
        order.step(&delivered),
        Step::Send(Request::GetOrder),
        "somebody may have closed it meanwhile"
    );
    let mut seen: Value = serde_json::to_value(&order.record.shown).expect("JSON");
    seen = json!({ "service_type": "delivery", "status": "cancelled", "delivery": seen });
    order.learn(&delivered, &Request::GetOrder, self::order(&seen));
    assert_eq!(order.step(&delivered), Step::Done(OrderOutcome::Shown));
}

#[test]
fn by_default_the_orders_own_status_is_not_touched() {
    let mut order = Order::with(&update(1, "picked_up", &json!({})));
    order.desk.now_ms += MINUTE;
    assert_eq!(order.step(&update(1, "picked_up", &json!({}))), Step::Done(OrderOutcome::Shown));
}
