//! The JSON Schema of a comparison, made from its types, and the proof that comparisons keep to it.

use std::{fs, path::Path};

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::{
    json::{Comparison, SCHEMA},
    synthetic,
};

fn generated() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<Comparison>();
    schema.insert("title".to_owned(), SCHEMA.into());
    if let Some(name) = schema.pointer_mut("/properties/schema") {
        name["const"] = SCHEMA.into();
    }
    schema.to_value()
}

fn stored_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats/pulse-trace-comparison-1.schema.json")
}

#[test]
fn the_stored_schema_is_that_of_the_types() {
    let text = serde_json::to_string_pretty(&generated()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(stored_path(), &text).unwrap();
    }
    let stored = fs::read_to_string(stored_path()).unwrap();
    assert!(text == stored, "{} is stale: UPDATE_GOLDEN=1 writes it anew", stored_path().display());
}

#[test]
fn a_comparison_keeps_to_the_schema_and_reads_back_as_what_it_was() {
    let schema = jsonschema::validator_for(&generated()).unwrap();
    let comparison = synthetic::comparison(5);
    let value = serde_json::to_value(&comparison).unwrap();
    let faults: Vec<String> = schema.iter_errors(&value).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(serde_json::from_value::<Comparison>(value).unwrap(), comparison);
}

#[test]
fn the_schema_refuses_what_is_not_a_comparison() {
    let schema = jsonschema::validator_for(&generated()).unwrap();
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
