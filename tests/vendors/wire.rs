//! Avro and Protobuf against what writers of other projects wrote.

use super::*;

/// Bytes in hex, and the JSON record that means the same.
#[cfg(any(feature = "avro", feature = "protobuf"))]
fn values(form: &str) -> Vec<(Vec<u8>, String)> {
    let lines = text("tests/fixtures/vendors/wire.ndjson");
    let lines = lines.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let bytes =
        |hex: &str| (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let of = |line: serde_json::Value| (bytes(line["hex"].as_str().unwrap()), line["record"].to_string());
    lines.filter(|l| l["form"] == form).map(of).collect()
}

#[cfg(any(feature = "avro", feature = "protobuf"))]
fn check_form(form: &str, toml: &str, count: usize) -> Decoder {
    let decoder = load_text("test", toml, &[], &[]).unwrap_or_else(|e| panic!("{e:?}")).config.decoder;
    let values = values(form);
    assert_eq!(values.len(), count);
    for (value, record) in values {
        let (got, meant) = (decoder.decode(&value), Decoder::Native.decode(record.as_bytes()));
        match (&got.first, &meant.first) {
            (Err(got), Err(meant)) => assert_eq!((got.outcome, got.reason), (meant.outcome, meant.reason), "{record}"),
            (got, meant) => assert_eq!(got, meant, "{record}"),
        }
        assert!(got.rest.is_empty());
    }
    decoder
}

#[cfg(feature = "avro")]
#[test]
fn avro_values_mean_what_their_json_does() {
    let published = ["tick", "bar", "close", "amendment", "status", "heartbeat", "reference"];
    let published = (0..).zip(published.map(|name| format!("schemas/{name}.avsc")));
    let evolved = (1_000, "tests/fixtures/vendors/evolved.avsc".to_owned());
    let schemas: Vec<String> =
        published.chain([evolved]).map(|(id, file)| format!("{id} = {:?}", repo(&file))).collect();
    let toml = format!("[input]\nformat = \"avro\"\n[input.schemas]\n{}", schemas.join("\n"));
    let decoder = check_form("avro", &toml, 24);
    for (value, record) in values("avro") {
        for len in 5..value.len() {
            assert_eq!(decoder.decode(&value[..len]).first.unwrap_err().reason, "not_avro", "{record} {len}");
        }
        let longer = [&value[..], &[0]].concat();
        assert_eq!(decoder.decode(&longer).first.unwrap_err().reason, "not_avro", "{record}");
    }
    let problem = |toml: &str| load_text("test", toml, &[], &[]).unwrap_err().problems().next().unwrap().clone();
    let none = problem("[input]\nformat = \"avro\"");
    assert_eq!((none.key.as_str(), none.message.contains("is empty")), ("input.schemas", true));
    let missing = problem("[input]\nformat = \"avro\"\n[input.schemas]\n1 = \"no-such.avsc\"");
    assert_eq!((missing.key.as_str(), missing.message.contains("cannot be read")), ("input.schemas.1", true));
}

#[cfg(feature = "protobuf")]
#[test]
fn protobuf_values_mean_what_their_json_does() {
    let decoder = check_form("protobuf", "[input]\nformat = \"protobuf\"", 46);
    for (value, _) in values("protobuf") {
        for len in 0..value.len() {
            let _ = decoder.decode(&value[..len]);
        }
    }
}

/// Lines cannot hold values of any byte.
#[cfg(feature = "protobuf")]
#[test]
fn a_file_of_lines_is_not_read_as_binary() {
    let error =
        FileSource::open_with(&repo("tests/fixtures/vendors/polygon.ndjson"), &Decoder::Protobuf).err().unwrap();
    assert!(error.to_string().contains("holds lines"), "{error}");
}

#[cfg(not(all(feature = "avro", feature = "protobuf")))]
#[test]
fn a_build_without_a_form_says_so() {
    for form in ["avro", "protobuf"] {
        let Err(error) = load_text("test", &format!("[input]\nformat = {form:?}"), &[], &[]) else { continue };
        let problem = error.problems().next().unwrap().message.clone();
        assert!(problem.contains(&format!("--features {form}")) || problem.contains("is empty"), "{problem}");
    }
}
