//! Tokens of SASL OAUTHBEARER, from a file that whoever issues them keeps fresh: a Kubernetes projected service account
//! token, or what an agent of the identity provider writes.

use crate::domain::{NANOS_PER_SEC, UnixNanos};
use openssl::base64;
use rdkafka::client::OAuthToken;
use serde::Deserialize;

/// Bytes that such a file may have.
const TOKEN_MAX: u64 = 64 * 1024;

/// What is read of a token; the broker judges it.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
}

/// Reads the token in force. The client library asks again when four fifths of its life are over.
///
/// # Errors
/// Names the file and what is wrong with it; never the token.
pub(super) fn read(file: &str, now: UnixNanos) -> Result<OAuthToken, String> {
    let refuse = |why: &str| format!("kafka.oauth_token_file: {file}: {why}");
    let size = std::fs::metadata(file).map_err(|e| refuse(&e.to_string()))?.len();
    if size > TOKEN_MAX {
        return Err(refuse("is too large for a token"));
    }
    let token = std::fs::read_to_string(file).map_err(|e| refuse(&e.to_string()))?.trim().to_owned();
    let claims = claims(&token).ok_or_else(|| refuse("holds no JSON Web Token with the claims sub and exp"))?;
    if claims.exp * NANOS_PER_SEC as f64 <= now.0 as f64 {
        return Err(refuse("its token has expired; it is read again until there is a fresh one"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    let lifetime_ms = (claims.exp * 1_000.0) as i64;
    Ok(OAuthToken { token, principal_name: claims.sub, lifetime_ms })
}

fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let mut text = payload.replace('-', "+").replace('_', "/");
    text.extend(std::iter::repeat_n('=', text.len().wrapping_neg() % 4));
    let claims: Claims = serde_json::from_slice(&base64::decode_block(&text).ok()?).ok()?;
    (parts.next().is_none() && !claims.sub.is_empty() && claims.exp.is_finite()).then_some(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        let text = base64::encode_block(payload.as_bytes()).replace('+', "-").replace('/', "_");
        format!("e30.{}.c2ln", text.trim_end_matches('='))
    }

    #[test]
    fn the_claims_that_matter_are_read_and_the_rest_is_refused_by_name() {
        let file = std::env::temp_dir().join(format!("fragility-oauth-{}", std::process::id()));
        let name = file.to_str().unwrap();
        let read_at = |text: &str, seconds: i64| {
            std::fs::write(&file, text).unwrap();
            read(name, UnixNanos(seconds * NANOS_PER_SEC))
        };
        // Payloads of every length have their padding put back.
        for sub in ["a", "ab", "abc", "abcd?~"] {
            let text = token(&format!(r#"{{"sub":"{sub}","exp":1000,"aud":["x"]}}"#));
            let read = read_at(&format!("{text}\n"), 999).unwrap();
            assert_eq!((read.token, &*read.principal_name, read.lifetime_ms), (text, sub, 1_000_000));
        }
        let late = read_at(&token(r#"{"sub":"a","exp":1000}"#), 1000).err().unwrap();
        assert!(late.contains(name) && late.contains("expired"), "{late}");
        for text in ["", "opaque", "e30.!!.c2ln", &token("{}"), &token(r#"{"sub":"","exp":2000}"#), "a.b.c.d"] {
            assert!(read_at(text, 0).err().unwrap().contains("no JSON Web Token"), "{text}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(read(name, UnixNanos(0)).err().unwrap().contains("No such file"));
    }
}
