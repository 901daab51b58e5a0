//! `milepost send --journey`: whole deliveries, in order unless asked otherwise.

use std::sync::Arc;

use http_body_util::Full;
use hyper::Response;
use milepost::cli::Exit;
use milepost::cli::send::{Args, run_into};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use crate::fake::{Receiver, args, sent, serve, share};

/// What `milepost send fake --journey reopened` asks.
fn reopened(to: &str) -> Args {
    Args { journey: Some(Some("reopened".to_owned())), ..args(to) }
}

/// What came of each delivery, in the order in which it came.
fn by_delivery(receiver: &Receiver, deliveries: usize) -> Vec<Vec<String>> {
    let mut came = vec![Vec::new(); deliveries];
    for request in receiver.requests() {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        let id = body["id"].as_str().expect("an id");
        let number: usize =
            id.strip_prefix("0000000000000007-").expect("the seed").parse().expect("a number");
        came[number].push(request.body);
    }
    came
}

fn step(number: usize, status: &str, at: &str) -> String {
    format!(r#"{{"at":"2025-01-01T00:{at}Z","id":"0000000000000007-{number}","status":"{status}"}}"#)
}

/// The journey "reopened" of a delivery.
fn steps(number: usize) -> [String; 5] {
    let steps =
        [("NEW", "00:07"), ("DONE", "03:07"), ("NEW", "06:07"), ("MOVED", "09:07"), ("DONE", "12:07")];
    steps.map(|(status, at)| step(number, status, at))
}

#[tokio::test]
async fn each_step_is_sent_when_the_one_before_it_was_accepted() {
    // The first of some deliveries are not stored at first: nothing of them may come before they are.
    let answers = [(503, ""), (200, ""), (503, ""), (200, ""), (200, ""), (503, ""), (200, "")];
    let (receiver, address) = Receiver::started(&answers).await;
    let mut args = reopened(&format!("http://{address}"));
    args.count = 4;
    let (exit, lines) = sent(&args).await;
    assert_eq!((exit, lines.len()), (Exit::Done, 20));
    assert_eq!(receiver.requests().len(), 23);
    for (number, mut came) in by_delivery(&receiver, 4).into_iter().enumerate() {
        came.dedup();
        assert_eq!(came, steps(number));
        let steps = lines.iter().filter(|line| line["number"] == json!(number));
        let steps: Vec<_> = steps.map(|line| (line["step"].clone(), line["sample"].clone())).collect();
        let names = ["new", "done", "new", "moved", "done"];
        assert_eq!(
            steps,
            names.iter().enumerate().map(|(at, name)| (json!(at), json!(name))).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn deliveries_are_sent_side_by_side() {
    let barrier = Arc::new(Barrier::new(3));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    serve(listener, move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            // Goes on only when three are here.
            barrier.wait().await;
            Response::new(Full::default())
        }
    });
    let mut args = reopened(&format!("http://{address}"));
    (args.journey, args.count, args.concurrency) = (Some(None), 3, 3);
    let (exit, lines) = sent(&args).await;
    assert_eq!(exit, Exit::Done);
    // The first journey, as none was named.
    assert_eq!(lines.len(), 6);
    let first: Vec<_> = lines[..3].iter().map(|line| &line["step"]).collect();
    assert_eq!(first, [0, 0, 0]);
}

#[tokio::test]
async fn one_seed_makes_the_same_run_again_disturbed_or_not() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let (again, address_again) = Receiver::started(&[(200, "")]).await;
    let mut args = reopened(&format!("http://{address}"));
    (args.count, args.reorder, args.duplicates) = (5, share("0.4"), share("0.3"));
    let (exit, lines) = sent(&args).await;
    assert_eq!(exit, Exit::Done);
    args.to = format!("http://{address_again}").parse().expect("a URL");
    assert_eq!(sent(&args).await.0, Exit::Done);
    let came = by_delivery(&receiver, 5);
    assert_eq!(came, by_delivery(&again, 5));
    // Some are out of order, some come twice, and with all that each step of each delivery came.
    assert!(came.iter().enumerate().any(|(number, came)| {
        let mut first = came.clone();
        first.dedup();
        first != steps(number)
    }));
    let duplicates = lines.iter().filter(|line| line["duplicate"] == json!(true)).count();
    assert_eq!(receiver.requests().len(), 25 + duplicates);
    assert!(duplicates > 0);
    for (number, mut came) in came.into_iter().enumerate() {
        came.sort();
        came.dedup();
        assert_eq!(came, steps(number));
    }
    args.seed = Some(8);
    let (other, address) = Receiver::started(&[(200, "")]).await;
    args.to = format!("http://{address}").parse().expect("a URL");
    assert_eq!(sent(&args).await.0, Exit::Done);
    assert!(other.requests().iter().all(|request| !again.requests().contains(request)));
}

#[tokio::test]
async fn every_step_swapped_and_every_webhook_twice() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let mut args = reopened(&format!("http://{address}"));
    (args.reorder, args.duplicates) = (share("1"), share("1"));
    assert_eq!(sent(&args).await.0, Exit::Done);
    let steps = steps(0);
    let expected: Vec<_> = [1, 1, 0, 0, 3, 3, 2, 2, 4, 4].map(|at: usize| steps[at].clone()).into();
    assert_eq!(by_delivery(&receiver, 1), [expected]);
    let requests = receiver.requests();
    assert!(requests.chunks(2).all(|pair| pair[0] == pair[1]), "headers too");
}

#[tokio::test]
async fn single_samples_may_come_twice_too() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let mut args = args(&format!("http://{address}"));
    (args.count, args.concurrency, args.duplicates) = (2, 1, share("1"));
    let (exit, lines) = sent(&args).await;
    let duplicates: Vec<_> = lines.iter().map(|line| (&line["number"], &line["duplicate"])).collect();
    let (no, yes) = (json!(false), json!(true));
    assert_eq!(exit, Exit::Done);
    assert_eq!(duplicates, [(&json!(0), &no), (&json!(0), &yes), (&json!(1), &no), (&json!(1), &yes)]);
    let [first, second] = [0, 1].map(|number| step(number, "NEW", "00:07"));
    assert_eq!(by_delivery(&receiver, 2), [[first.clone(), first], [second.clone(), second]]);
}

#[tokio::test]
async fn after_a_refusal_the_rest_of_the_delivery_is_not_sent() {
    let (receiver, address) = Receiver::started(&[(200, ""), (401, "no"), (200, "")]).await;
    let mut args = reopened(&format!("http://{address}"));
    (args.count, args.concurrency) = (2, 1);
    let (exit, lines) = sent(&args).await;
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().expect("text")).collect();
    assert_eq!(exit, Exit::Failed);
    assert_eq!(outcomes, ["accepted", "refused", "accepted", "accepted", "accepted", "accepted", "accepted"]);
    assert_eq!(by_delivery(&receiver, 2), [steps(0)[..2].to_vec(), steps(1).to_vec()]);
}

#[tokio::test]
async fn a_line_for_a_person_says_which_step_it_was() {
    let (_receiver, address) = Receiver::started(&[(200, "")]).await;
    let mut args = args(&format!("http://{address}"));
    (args.json, args.journey, args.duplicates) = (false, Some(None), share("1"));
    let mut out = Vec::new();
    assert_eq!(run_into(&args, &mut out).await.expect("sent"), Exit::Done);
    let out = String::from_utf8(out).expect("text");
    let steps: Vec<_> =
        out.lines().filter_map(|line| Some(line.split_once(" accepted ")?.0.trim())).collect();
    assert_eq!(steps, ["#0 new", "#0 new again", "#0 done", "#0 done again"]);
}

#[tokio::test]
async fn the_secret_goes_into_the_header_that_the_account_chose() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let mut args = args(&format!("http://{address}"));
    (args.auth, args.secret) = (Some("header".to_owned()), Some("a secret".to_owned()));
    args.header = Some("X-Mine".parse().expect("a name"));
    assert_eq!(sent(&args).await.0, Exit::Done);
    let request = &receiver.requests()[0];
    assert_eq!((request.mine.len(), request.signature.as_str()), (64, ""));
}

/// Every documented payload of every provider, by name.
#[tokio::test]
async fn without_a_provider_everything_is_listed() {
    let mut args = args("http://127.0.0.1:1/");
    (args.provider, args.list) = (None, true);
    let mut out = Vec::new();
    assert_eq!(run_into(&args, &mut out).await.expect("listed"), Exit::Done);
    let out = String::from_utf8(out).expect("text");
    let blocks: Vec<_> = out.split("\n\n").collect();
    assert_eq!(blocks.len(), 5);
    assert!(blocks[0].starts_with("telyport:\norder_created\nstarted\n"), "{out}");
    assert!(blocks[1].starts_with("247express:\naccepted\n"), "{out}");
    assert!(blocks[4].ends_with("\n--journey cancelled: pending, pickup_enroute, cancelled\n"), "{out}");
}
