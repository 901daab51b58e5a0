//! Coordinates on Earth to its last degree, beyond it, swapped, and halved.

use serde_json::{Value, json};

use super::shapes::Place;
use super::{Case, Expected, Shape, path, put};

pub fn cases(shape: &Shape) -> Vec<Case> {
    let Some((form, place)) = shape.place else { return Vec::new() };
    let on_earth = [
        (json!(55.788739), json!(-4.294259)),
        (json!("48.8571400"), json!("2.3413")),
        (json!(90), json!(-180)),
        (json!("-90.0"), json!("180.000")),
        (json!(0), json!(0)),
        (json!("-6.2777751234567890123456"), json!(106.800_365)),
    ];
    // Near Greenwich and the equator, as libraries write small numbers; and as they write whole ones.
    let spelt = [
        (["51.4779", "-3.8e-05"], ["51.4779", "-0.000038"]),
        (["3.8E-5", "-1.0e-7"], ["0.000038", "-0.00000010"]),
        (["5.14779e1", "1.8e2"], ["51.4779", "180"]),
        (["\"-3.8e-05\"", "\"1E+1\""], ["-0.000038", "10"]),
        (["0e5", "-0.0e-2"], ["0", "-0.000"]),
        (["-9.0e1", "1.80e2"], ["-90", "180"]),
    ];
    let elsewhere = [
        (json!(90.0001), json!(0)),
        (json!(0), json!(-180.0001)),
        // Manila and Jakarta, longitude for latitude.
        (json!(120.9842), json!(14.5995)),
        (json!("106.800365"), json!("-6.277775")),
        (json!("north"), json!("west")),
        (json!("48,8571"), json!("2,3413")),
        (json!("NaN"), json!("inf")),
        (json!(true), json!([2.3413])),
        (json!("48.85 "), json!("2.34")),
        (json!(1e300), json!(1)),
        (json!(9.1e1), json!(1)),
        (json!(1e-300), json!(1)),
        (json!("1e"), json!("e1")),
    ];
    let mut cases = Vec::new();
    for (latitude, longitude) in on_earth {
        let digits = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut update = (shape.update)();
        put(&mut update, place, json!({"latitude": digits(&latitude), "longitude": digits(&longitude)}));
        cases.push(case(shape, form, [&latitude, &longitude], Expected::Published(update, 0)));
    }
    for (sent, [latitude, longitude]) in spelt {
        let mut update = (shape.update)();
        put(&mut update, place, json!({"latitude": latitude, "longitude": longitude}));
        let body = case(shape, form, [&json!("north"), &json!("west")], Expected::Ignored).body;
        let body = String::from_utf8(body).expect("text");
        let body = body.replacen("\"north\"", sent[0], 1).replacen("\"west\"", sent[1], 1);
        let name = format!("position spelt {} {}", sent[0], sent[1]);
        cases.push(Case::new(name, shape, body, Expected::Published(update, 0)));
    }
    for (latitude, longitude) in elsewhere {
        let expected = left(shape, form, [&latitude, &longitude]);
        cases.push(case(shape, form, [&latitude, &longitude], expected));
    }
    for half in [[&json!(48.5), &Value::Null], [&Value::Null, &json!(2.5)]] {
        cases.push(case(shape, form, half, left(shape, form, half)));
    }
    cases
}

/// The update without a position, and what was sent in its place kept and counted.
fn left(shape: &Shape, form: Place, sent: [&Value; 2]) -> Expected {
    let mut update = (shape.update)();
    let count = match form {
        Place::LongitudeFirst(pointer) => {
            let (outer, inner) = pointer[1..].split_once('/').expect("two names");
            update["extra"][outer] = json!({inner: [sent[1], sent[0]]});
            1
        }
        Place::Apart(pointers) => {
            let mut count = 0;
            for (pointer, value) in pointers.into_iter().zip(sent) {
                update["extra"][path(pointer)] = value.clone();
                count += u32::from(!value.is_null());
            }
            count
        }
    };
    Expected::Published(update, count)
}

fn case(shape: &Shape, form: Place, sent: [&Value; 2], expected: Expected) -> Case {
    let mut body: Value = serde_json::from_str(shape.least).expect("JSON");
    match form {
        Place::LongitudeFirst(pointer) => put(&mut body, pointer, json!([sent[1], sent[0]])),
        Place::Apart(pointers) => {
            for (pointer, value) in pointers.into_iter().zip(sent) {
                put(&mut body, pointer, value.clone());
            }
        }
    }
    Case::new(format!("position {} {}", sent[0], sent[1]), shape, body.to_string(), expected)
}
