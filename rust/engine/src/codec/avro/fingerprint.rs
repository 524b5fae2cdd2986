//! The fingerprint that single objects carry: CRC-64-AVRO of the schema's Parsing Canonical Form.
//!
//! Ours, as the library's form (0.22) keeps `{"type":"long"}` where a logical type has been stripped, and the scale of decimals:
//! Java and fastavro write `"long"`.

use apache_avro::rabin::Rabin;
use digest::Digest;
use serde_json::{Map, Value};

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// The fingerprint of a schema that the library has parsed.
pub(super) fn fingerprint(text: &str) -> u64 {
    let mut form = String::new();
    // What is no JSON was refused before; the form of nothing is no schema's.
    write(&serde_json::from_str(text).unwrap_or(Value::Null), "", &mut form);
    let mut hasher = Rabin::new();
    hasher.update(form);
    u64::from_le_bytes(hasher.finalize().into())
}

fn write(schema: &Value, namespace: &str, form: &mut String) {
    match schema {
        Value::String(name) if PRIMITIVES.contains(&name.as_str()) => quote(name, form),
        Value::String(name) => quote(&full(name, None, namespace), form),
        Value::Array(branches) => list(branches, form, |branch, form| write(branch, namespace, form)),
        Value::Object(object) => write_object(object, namespace, form),
        _ => {}
    }
}

fn write_object(schema: &Map<String, Value>, namespace: &str, form: &mut String) {
    let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = match &schema["type"] {
        Value::String(kind) => kind.as_str(),
        nested => return write(nested, namespace, form),
    };
    let name = full(text("name"), schema.get("namespace").and_then(Value::as_str), namespace);
    let none = Vec::new();
    let listed = |name: &str| schema.get(name).and_then(Value::as_array).unwrap_or(&none);
    let named = |form: &mut String| {
        form.push_str("{\"name\":");
        quote(&name, form);
        form.push_str(",\"type\":");
        quote(kind, form);
    };
    match kind {
        "record" | "error" => {
            named(form);
            form.push_str(",\"fields\":");
            let inner = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
            list(listed("fields"), form, |field, form| {
                form.push_str("{\"name\":");
                quote(field["name"].as_str().unwrap_or_default(), form);
                form.push_str(",\"type\":");
                write(&field["type"], inner, form);
                form.push('}');
            });
            form.push('}');
        }
        "enum" => {
            named(form);
            form.push_str(",\"symbols\":");
            list(listed("symbols"), form, |symbol, form| quote(symbol.as_str().unwrap_or_default(), form));
            form.push('}');
        }
        "fixed" => {
            named(form);
            let size = match &schema["size"] {
                Value::String(size) => size.clone(),
                size => size.to_string(),
            };
            form.push_str(&format!(",\"size\":{size}}}"));
        }
        "array" | "map" => {
            let of = if kind == "array" { "items" } else { "values" };
            form.push_str(&format!("{{\"type\":\"{kind}\",\"{of}\":"));
            write(&schema[of], namespace, form);
            form.push('}');
        }
        _ => write(&Value::String(kind.to_owned()), namespace, form),
    }
}

/// A name with its namespace: its own, the one it is given, or the one around it.
fn full(name: &str, own: Option<&str>, around: &str) -> String {
    match own.unwrap_or(around) {
        "" => name.to_owned(),
        _ if name.contains('.') => name.to_owned(),
        namespace => format!("{namespace}.{name}"),
    }
}

fn quote(text: &str, form: &mut String) {
    form.push('"');
    form.push_str(text);
    form.push('"');
}

fn list<'v>(values: &'v [Value], form: &mut String, mut write: impl FnMut(&'v Value, &mut String)) {
    form.push('[');
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            form.push(',');
        }
        write(value, form);
    }
    form.push(']');
}
