//! The JSON Schema of the export, made from its types, and the proof that exports keep to it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use model::synthetic::{self, Shape};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::json::{Export, SCHEMA, encode};

/// The schema of a type that says in a field `schema` which form it has.
pub fn of<T: JsonSchema>(form: &str) -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    schema.insert("title".to_owned(), form.into());
    if let Some(name) = schema.pointer_mut("/properties/schema") {
        name["const"] = form.into();
    }
    schema.to_value()
}

/// Path of the stored schema of a form, `name/1` as `name-1`.
pub fn stored_path(form: &str) -> PathBuf {
    let name = format!("../../docs/formats/{}.schema.json", form.replace('/', "-"));
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Fails where the stored schema is another one.
pub fn assert_stored<T: JsonSchema>(form: &str) {
    let (path, text) = (stored_path(form), serde_json::to_string_pretty(&of::<T>(form)).unwrap() + "\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap();
    assert!(text == stored, "{} is stale: UPDATE_GOLDEN=1 writes it anew", path.display());
}

#[test]
fn the_stored_schema_is_that_of_the_types() {
    assert_stored::<Export>(SCHEMA);
}

#[test]
fn every_export_keeps_to_the_schema() {
    let stored: Value = serde_json::from_str(&fs::read_to_string(stored_path(SCHEMA)).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&stored).unwrap();
    for seed in 0..16 {
        let threads = (seed % 3) as u32;
        let shape = Shape {
            threads,
            inline: seed % 3 == 0,
            events: seed % 3 == 1,
            lossy: seed % 2 == 0,
            frames: 2,
            processes: seed as u32,
        };
        let export: Value =
            serde_json::from_slice(&encode(&synthetic::session(seed, shape)).unwrap()).unwrap();
        let faults: Vec<String> = schema.iter_errors(&export).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "seed {seed}: {faults:?}");
    }
}

#[test]
fn the_schema_refuses_what_is_not_an_export() {
    let schema = jsonschema::validator_for(&of::<Export>(SCHEMA)).unwrap();
    let good: Value =
        serde_json::from_slice(&encode(&synthetic::session(1, Shape::default())).unwrap()).unwrap();
    assert!(schema.is_valid(&good));
    let changes: [(&str, Value); 9] = [
        ("/schema", "pulse-trace/2".into()),
        ("/ledger/complete", 1.into()),
        ("/session/duration_ns", (-1).into()),
        ("/processes/0/syscalls/0/latency/unit", "s".into()),
        ("/processes/0/sched/budget/wall_ns", "1s".into()),
        ("/processes/0/sched/wakers/0/context", "ghost".into()),
        ("/processes/0/futex/0/place", "elsewhere".into()),
        ("/processes/0/mutex/0/contended", (-1).into()),
        ("/processes/0/syscalls/0/latency/buckets/0", serde_json::json!([1, 2])),
    ];
    for (pointer, value) in changes {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!schema.is_valid(&bad), "{pointer}");
    }
}
