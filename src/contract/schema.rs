//! The JSON Schemas, from the types that are serialized.

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

use crate::domain::event::{CloudEvent, DATA_SCHEMA, Data};

/// `$id` of the schema of the whole event; that of its `data` is [`DATA_SCHEMA`].
const EVENT_SCHEMA: &str = "urn:milepost:schema:event:v1";

/// The schema of the whole event, in JSON Schema 2020-12.
pub(super) fn event() -> Schema {
    schema_of::<CloudEvent<'_>>(EVENT_SCHEMA)
}

/// The schema of the event's `data`, in JSON Schema 2020-12.
pub(super) fn delivery_update() -> Schema {
    schema_of::<Data<'_>>(DATA_SCHEMA)
}

/// The schemas of the event and of its parts, in draft 7 as AsyncAPI has them, by name. They refer to each other as
/// `#/components/schemas/<name>`.
pub(super) fn components() -> Map<String, Value> {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut generator = settings.for_serialize().with_transform(plain).into_generator();
    generator.subschema_for::<CloudEvent<'_>>();
    generator.take_definitions(true)
}

fn schema_of<T: JsonSchema>(id: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(plain);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), id.into());
    schema
}

/// Takes out what the types say and an event never has: a `null` (what is not known is left out), and the formats of
/// integers, which are Rust's. Descriptions lose the line ends of the source.
fn plain(schema: &mut Schema) {
    transform_subschemas(&mut plain, schema);
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if schema.get("type").is_some_and(|name| name == "integer") {
        schema.remove("format");
    }
    if let Some(Value::Array(either)) = schema.get("anyOf")
        && let [Value::Object(one), null] = &either[..]
        && null["type"] == "null"
    {
        let one = one.clone();
        schema.remove("anyOf");
        schema.ensure_object().extend(one);
    }
}
