//! The statements of docs/subscribe.md, run by a database: SQLite, which Python brings along. They are PostgreSQL's as
//! well, whose upsert SQLite took over.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Reads the statements and deliveries of events, takes each in a transaction of its own, and prints the table after
/// each. An event is its id, and then what the statement on deliveries is given.
const PROGRAM: &str = r#"
import json, sqlite3, sys

statements, runs = json.load(sys.stdin)

def parameters(*values):
    return {str(number): value for number, value in enumerate(values, 1)}

def run(events):
    database = sqlite3.connect(":memory:")
    seen = []
    for table in [statement for statement in statements if statement.startswith("CREATE")]:
        database.execute(table)
    remember, apply = [statement for statement in statements if not statement.startswith("CREATE")]
    for id, *event in events:
        with database:
            if database.execute(remember, parameters(id)).rowcount:
                database.execute(apply, parameters(*event))
        seen.append(database.execute("SELECT * FROM deliveries ORDER BY source, subject").fetchall())
    return seen

json.dump([run(events) for events in runs], sys.stdout)
"#;

/// The page's blocks of SQL, in its order.
fn statements() -> Vec<String> {
    let page = include_str!("../../docs/subscribe.md");
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| block.trim().to_owned()).collect()
}

/// The table of deliveries after each event of each run.
fn run(runs: &Value) -> Value {
    let mut python = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let input = python.stdin.take().expect("piped");
    serde_json::to_writer(input, &json!([statements(), runs])).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn event(id: &str, subject: &str, status: &str, sequence: u64, order: &str) -> Value {
    json!([id, "/milepost/dash/default", subject, status, sequence, order])
}

fn row(subject: &str, status: &str, sequence: u64) -> Value {
    json!(["/milepost/dash/default", subject, status, sequence])
}

#[test]
fn a_new_delivery_is_inserted_and_only_news_changes_it() {
    let events = json!([
        event("a", "d1", "assigned", 5, "in_order"),
        event("b", "d1", "created", 4, "in_order"),
        event("c", "d1", "created", 6, "late"),
        event("d", "d1", "delivered", 8, "unexpected"),
        event("a", "d1", "assigned", 9, "in_order"),
        event("e", "d2", "delivered", 3, "late"),
        event("f", "d2", "picked_up", 2, "in_order"),
        event("g", "d2", "picked_up", 1_739_365_639_201, "in_order"),
    ]);
    let [assigned, delivered] = [row("d1", "assigned", 5), row("d1", "delivered", 8)];
    let expected = json!([
        [assigned],
        [assigned],
        [assigned],
        [delivered],
        [delivered],
        [delivered],
        [delivered, row("d2", "picked_up", 2)],
        [delivered, row("d2", "picked_up", 1_739_365_639_201_u64)],
    ]);
    assert_eq!(run(&json!([events])), json!([expected]));
}

/// In any order of its events, a delivery ends with the highest sequence that is not late.
#[test]
fn the_order_of_events_does_not_matter() {
    let events = [
        event("a", "d1", "created", 1, "in_order"),
        event("b", "d1", "assigned", 2, "in_order"),
        event("c", "d1", "picked_up", 3, "unexpected"),
        event("d", "d1", "created", 4, "late"),
    ];
    let mut orders = vec![vec![]];
    for _ in 0..events.len() {
        let longer = |order: &Vec<usize>| {
            let left = (0..events.len()).filter(|next| !order.contains(next));
            left.map(|next| [order.as_slice(), &[next]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    assert_eq!(orders.len(), 24);
    let runs: Vec<_> =
        orders.iter().map(|order| order.iter().map(|&at| &events[at]).collect::<Vec<_>>()).collect();
    let tables = run(&json!(runs));
    for (order, tables) in orders.iter().zip(tables.as_array().expect("a list")) {
        assert_eq!(tables[3], json!([row("d1", "picked_up", 3)]), "{order:?}");
    }
}
