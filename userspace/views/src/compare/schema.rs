//! The JSON Schema of a comparison, made from its types, and the proof that comparisons keep to it.

use serde_json::Value;

use super::{
    json::{Comparison, SCHEMA},
    synthetic,
};
use crate::export::schema;

#[test]
fn the_stored_schema_is_that_of_the_types() {
    schema::assert_stored::<Comparison>(SCHEMA);
}

#[test]
fn a_comparison_keeps_to_the_schema_and_reads_back_as_what_it_was() {
    let schema = jsonschema::validator_for(&schema::of::<Comparison>(SCHEMA)).unwrap();
    let comparison = synthetic::comparison(5);
    let value = serde_json::to_value(&comparison).unwrap();
    let faults: Vec<String> = schema.iter_errors(&value).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(serde_json::from_value::<Comparison>(value).unwrap(), comparison);
}

#[test]
fn the_schema_refuses_what_is_not_a_comparison() {
    let schema = jsonschema::validator_for(&schema::of::<Comparison>(SCHEMA)).unwrap();
    let good = serde_json::to_value(synthetic::comparison(2)).unwrap();
    let changes: [(&str, Value); 5] = [
        ("/schema", "pulse-trace-comparison/2".into()),
        ("/reference", (-1).into()),
        ("/rows/0/unit", "furlongs".into()),
        ("/rows/0/differences/1/verdict", "maybe".into()),
        ("/columns/0/rounds/0/values", Value::Null),
    ];
    for (pointer, value) in changes {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!schema.is_valid(&bad), "{pointer}");
    }
}
