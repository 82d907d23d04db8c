//! Native records in Avro, by the schemas that the configuration names.
//!
//! A value is decoded by its writer's schema, and its fields are taken by their names: those of the JSON records.
//! So writers may leave fields out, add others and order them as they like. `schemas/*.avsc` are schemas to
//! register as they are. No registry is asked: which schema an id stands for is configured.
//!
//! Avro 1.11 without named references and decimals, which flat records have no use for. The library at hand reads
//! a text that is cut off as null, and would bring some thirty crates along.

use super::confluent::{schema_id, zigzag};
use super::error::DecodeError;
use super::json::observation;
use super::wire::Wire;
use crate::domain::{Observation, SessionDate};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Values within values: schemas with more are refused.
const DEPTH_MAX: usize = 8;

/// The schemas of the writers, by their id.
#[derive(Clone, Default, Debug)]
pub struct AvroSchemas(BTreeMap<u32, Record>);

/// A writer's record: its name in small letters, and its fields in order.
#[derive(Clone, PartialEq, Debug)]
struct Record {
    name: String,
    fields: Vec<(String, Type)>,
}

#[derive(Clone, PartialEq, Debug)]
enum Type {
    Null,
    Boolean,
    /// 32 and 64 bits are written alike.
    Long,
    Float,
    Double,
    Bytes,
    Text,
    /// Days since 1970.
    Date,
    /// Time since 1970 in so many nanoseconds.
    Time(i64),
    Fixed(usize),
    Enum(Vec<String>),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(Vec<(String, Type)>),
}

impl AvroSchemas {
    /// Adds the schema that `id` stands for, as its JSON.
    ///
    /// # Errors
    /// When it is no record, or has a type that is not read; the text says which.
    pub fn add(&mut self, id: u32, schema: &str) -> Result<(), String> {
        let schema: Value = serde_json::from_str(schema).map_err(|e| format!("is not JSON: {e}"))?;
        if schema.get("type").and_then(Value::as_str) != Some("record") {
            return Err("is not the schema of a record".to_owned());
        }
        let name = schema.get("name").and_then(Value::as_str).ok_or("is a record without a name")?;
        let name = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
        self.0.insert(id, Record { name, fields: fields(&schema, 0)? });
        Ok(())
    }

    /// Decodes one record value.
    ///
    /// # Errors
    /// As [`super::decode`], and `rejected` for an id that stands for no schema.
    pub(super) fn decode(&self, value: &[u8]) -> Result<Observation<'static>, DecodeError> {
        let (id, mut bytes) = schema_id(value)?;
        let record = self.0.get(&id).ok_or_else(|| {
            DecodeError::rejected("unknown_schema", format!("input.schemas does not say what schema {id} is"))
        })?;
        let mut read = read_fields(&record.fields, &mut bytes)?;
        if !bytes.is_empty() {
            let detail = format!("{} bytes are left over after the record of schema {id}", bytes.len());
            return Err(DecodeError::malformed("not_avro", detail));
        }
        read.entry("type").or_insert_with(|| record.name.as_str().into());
        let wire: Wire = serde_path_to_error::deserialize(Value::Object(read))
            .map_err(|e| DecodeError::malformed("wrong_type", format!("{}: {}", e.path(), e.inner())))?;
        observation(&wire)
    }
}

fn fields(schema: &Value, depth: usize) -> Result<Vec<(String, Type)>, String> {
    let list = schema.get("fields").and_then(Value::as_array).ok_or("has a record without fields")?;
    let field = |field: &Value| {
        let name = field.get("name").and_then(Value::as_str).ok_or("has a field without a name")?;
        let of = field.get("type").ok_or_else(|| format!("has a field {name} without a type"))?;
        Ok((name.to_owned(), type_of(of, depth + 1).map_err(|e| format!("{e} (field {name})"))?))
    };
    list.iter().map(field).collect()
}

fn type_of(schema: &Value, depth: usize) -> Result<Type, String> {
    if depth > DEPTH_MAX {
        return Err(format!("has types more than {DEPTH_MAX} deep"));
    }
    let (name, logical) = match schema {
        Value::Array(branches) => {
            return branches.iter().map(|b| type_of(b, depth + 1)).collect::<Result<_, _>>().map(Type::Union);
        }
        Value::String(name) => (name.as_str(), None),
        Value::Object(object) => match object.get("type") {
            Some(Value::String(name)) => (name.as_str(), object.get("logicalType").and_then(Value::as_str)),
            Some(inner) => return type_of(inner, depth + 1),
            None => return Err("has a type without a name".to_owned()),
        },
        _ => return Err("has a type that is none".to_owned()),
    };
    let element = |key: &str| {
        let of = schema.get(key).ok_or_else(|| format!("has a type {name} without {key}"))?;
        let of = type_of(of, depth + 1)?;
        // A few bytes could claim any number of elements that take none.
        if of.may_be_nothing() { Err(format!("has a type {name} of values without bytes")) } else { Ok(Box::new(of)) }
    };
    Ok(match (name, logical) {
        ("null", _) => Type::Null,
        ("boolean", _) => Type::Boolean,
        ("int", Some("date")) => Type::Date,
        ("long", Some("timestamp-millis")) => Type::Time(1_000_000),
        ("long", Some("timestamp-micros")) => Type::Time(1_000),
        ("long", Some("timestamp-nanos")) => Type::Time(1),
        // A time of day, a local time or a decimal read as a plain number would be silently wrong.
        (_, Some(other)) if other != "uuid" => return Err(format!("has the logical type {other}, which is not read")),
        ("int" | "long", _) => Type::Long,
        ("float", _) => Type::Float,
        ("double", _) => Type::Double,
        ("bytes", _) => Type::Bytes,
        ("string", _) => Type::Text,
        ("fixed", _) => {
            let size = schema.get("size").and_then(Value::as_u64).and_then(|s| usize::try_from(s).ok());
            Type::Fixed(size.ok_or("has a fixed type without a size")?)
        }
        ("enum", _) => {
            let symbols = schema.get("symbols").and_then(Value::as_array).ok_or("has an enum without symbols")?;
            let text = |s: &Value| s.as_str().map(str::to_owned).ok_or("has an enum symbol that is no text");
            Type::Enum(symbols.iter().map(text).collect::<Result<_, _>>()?)
        }
        ("array", _) => Type::Array(element("items")?),
        ("map", _) => Type::Map(element("values")?),
        ("record", _) => Type::Record(fields(schema, depth)?),
        (other, _) => return Err(format!("names the type {other}, which is not read")),
    })
}

impl Type {
    /// Whether a value may take no bytes.
    fn may_be_nothing(&self) -> bool {
        match self {
            Self::Null | Self::Fixed(0) => true,
            Self::Record(fields) => fields.iter().all(|(_, of)| of.may_be_nothing()),
            _ => false,
        }
    }
}

fn cut() -> DecodeError {
    DecodeError::malformed("not_avro", "the value breaks off, or is not of its schema")
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or_else(cut)?;
    *bytes = rest;
    Ok(taken)
}

fn long(bytes: &mut &[u8]) -> Result<i64, DecodeError> {
    zigzag(bytes).ok_or_else(cut)
}

fn length(bytes: &mut &[u8]) -> Result<usize, DecodeError> {
    usize::try_from(long(bytes)?).map_err(|_| cut())
}

fn text(bytes: &mut &[u8]) -> Result<String, DecodeError> {
    let len = length(bytes)?;
    std::str::from_utf8(take(bytes, len)?).map(str::to_owned).map_err(|_| cut())
}

fn read_fields(fields: &[(String, Type)], bytes: &mut &[u8]) -> Result<Map<String, Value>, DecodeError> {
    fields.iter().map(|(name, of)| Ok((name.clone(), read(of, name, bytes)?))).collect()
}

/// The elements of an array or a map, in blocks; one with a negative count has its length in bytes after it.
fn blocks(
    bytes: &mut &[u8],
    mut element: impl FnMut(&mut &[u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    loop {
        let count = long(bytes)?;
        if count == 0 {
            return Ok(());
        }
        if count < 0 {
            long(bytes)?;
        }
        // Every element takes a byte at least.
        for _ in 0..count.unsigned_abs() {
            element(bytes)?;
        }
    }
}

/// One value in its JSON form. Bytes, maps and records have none that a field of a record could take.
fn read(of: &Type, name: &str, bytes: &mut &[u8]) -> Result<Value, DecodeError> {
    Ok(match of {
        Type::Null => Value::Null,
        Type::Boolean => match take(bytes, 1)? {
            [0] => false.into(),
            [1] => true.into(),
            _ => return Err(cut()),
        },
        Type::Long => long(bytes)?.into(),
        Type::Float => {
            let four = take(bytes, 4)?.try_into().map_err(|_| cut())?;
            // The decimal number that was meant: 101.2345 and not 101.234497...
            real(name, f32::from_le_bytes(four).to_string().parse().unwrap_or(f64::NAN))?
        }
        Type::Double => {
            let eight = take(bytes, 8)?.try_into().map_err(|_| cut())?;
            real(name, f64::from_le_bytes(eight))?
        }
        Type::Text => text(bytes)?.into(),
        Type::Date => {
            let date = i32::try_from(long(bytes)?).ok().and_then(SessionDate::from_days);
            date.ok_or_else(|| beyond(name))?.to_string().into()
        }
        Type::Time(unit) => long(bytes)?.checked_mul(*unit).ok_or_else(|| beyond(name))?.into(),
        Type::Enum(symbols) => symbols.get(length(bytes)?).ok_or_else(cut)?.as_str().into(),
        Type::Union(branches) => read(branches.get(length(bytes)?).ok_or_else(cut)?, name, bytes)?,
        Type::Array(of) => {
            let mut list = Vec::new();
            blocks(bytes, |bytes| {
                list.push(read(of, name, bytes)?);
                Ok(())
            })?;
            list.into()
        }
        Type::Bytes => {
            let len = length(bytes)?;
            take(bytes, len)?;
            Map::new().into()
        }
        Type::Fixed(len) => {
            take(bytes, *len)?;
            Map::new().into()
        }
        Type::Map(of) => {
            blocks(bytes, |bytes| {
                text(bytes)?;
                read(of, name, bytes).map(|_| ())
            })?;
            Map::new().into()
        }
        Type::Record(fields) => {
            read_fields(fields, bytes)?;
            Map::new().into()
        }
    })
}

fn real(name: &str, value: f64) -> Result<Value, DecodeError> {
    let number = serde_json::Number::from_f64(value);
    number
        .map(Value::Number)
        .ok_or_else(|| DecodeError::malformed("wrong_type", format!("{name}: not a finite number")))
}

fn beyond(name: &str) -> DecodeError {
    DecodeError::malformed("wrong_type", format!("{name}: time is beyond the calendar"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(schema: &str, part: &str) {
        let said = AvroSchemas::default().add(1, schema).err().unwrap_or_default();
        assert!(said.contains(part) && said.is_empty() == part.is_empty(), "{schema}: {said}");
    }

    #[test]
    fn schemas_that_are_not_read_say_why() {
        let of = |of: &str| format!(r#"{{"type":"record","name":"T","fields":[{{"name":"f","type":{of}}}]}}"#);
        check("[]", "not the schema of a record");
        check("{", "is not JSON");
        check(r#"{"type":"record","fields":[]}"#, "without a name");
        check(&of(r#""T""#), "names the type T, which is not read (field f)");
        check(&of(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#), "logical type decimal");
        check(&of(r#"{"type":"array","items":"null"}"#), "without bytes");
        check(&of(r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}}"#), "without bytes");
        check(&of(&format!("{}\"int\"{}", "[".repeat(20), "]".repeat(20))), "8 deep");
        check(&of(r#"["null",{"type":"array","items":"string"}]"#), "");
    }

    fn schemas() -> AvroSchemas {
        let mut schemas = AvroSchemas::default();
        schemas.add(0, include_str!("../../schemas/tick.avsc")).unwrap();
        schemas.add(1, include_str!("../../schemas/bar.avsc")).unwrap();
        schemas
    }

    #[test]
    fn claims_of_length_reserve_nothing() {
        let schemas = schemas();
        // A symbol of 2^62 bytes.
        let value = [0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(schemas.decode(&value).unwrap_err().reason, "not_avro");
        assert_eq!(schemas.decode(&[0, 0, 0, 0, 9, 1]).unwrap_err().reason, "unknown_schema");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(
            id in 0_u8..2,
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..4], 0..120),
        ) {
            let mut value = vec![0, 0, 0, 0, id];
            value.extend(&bytes);
            let _ = schemas().decode(&value);
            let _ = schemas().decode(&bytes);
        }
    }
}
