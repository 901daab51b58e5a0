//! Sets of words that may grow without being another contract.

use schemars::Schema;
use serde_json::{Value, json};

/// Makes the schema of an enum an open one: it lists today's words, and takes any other too, so that a subscriber who
/// validates by an older schema does not refuse the events of a newer Milepost.
pub(super) fn open(schema: &mut Schema) {
    let Some(Value::Array(mut words)) = schema.remove("oneOf") else { return };
    words.push(json!({ "description": "A word added later, within the same version." }));
    schema.insert("type".to_owned(), "string".into());
    schema.insert("anyOf".to_owned(), words.into());
}
