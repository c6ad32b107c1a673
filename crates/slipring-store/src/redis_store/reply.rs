//! What the server answers, taken apart without trust.

use redis::Value;

use crate::StoreError;

/// An answer that is not of the form it should have.
pub(super) fn odd(doing: &'static str, problem: &str) -> StoreError {
    StoreError::Server { doing, problem: format!("an answer has {problem}").into() }
}

pub(super) fn array(doing: &'static str, value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) => Ok(values),
        Value::ServerError(error) => {
            Err(super::link::refusal(doing, error.code(), error.details()))
        }
        _ => Err(odd(doing, "no array where one should be")),
    }
}

/// An array of just so many.
pub(super) fn exactly<const N: usize>(
    doing: &'static str,
    value: Value,
) -> Result<[Value; N], StoreError> {
    let values = array(doing, value)?;
    values.try_into().map_err(|_| odd(doing, "an array of another length than it should be"))
}

pub(super) fn bytes(doing: &'static str, value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text.into_bytes()),
        _ => Err(odd(doing, "no bytes where some should be")),
    }
}

pub(super) fn text(doing: &'static str, value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(doing, value)?).map_err(|_| odd(doing, "a text that is not UTF-8"))
}

/// A number, as such or written out.
pub(super) fn number(doing: &'static str, value: &Value) -> Result<u64, StoreError> {
    let number = match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(digits) => {
            str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
        }
        _ => None,
    };
    number.ok_or_else(|| {
        let found: String = format!("{value:?}").chars().take(80).collect();
        odd(doing, &format!("{found} where a number should be"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_it_should_be_is_an_error() {
        let nested =
            Value::Array(vec![Value::Int(-1), Value::BulkString(b"18446744073709551616".into())]);
        for bad in [Value::Nil, Value::Int(-1), Value::BulkString(b"1e3".into()), nested.clone()] {
            assert!(number("testing", &bad).is_err(), "{bad:?}");
        }
        assert!(array("testing", Value::Int(3)).is_err());
        assert!(exactly::<3>("testing", nested.clone()).is_err());
        assert!(exactly::<2>("testing", nested).is_ok());
        assert!(bytes("testing", Value::Nil).is_err());
        assert!(text("testing", Value::BulkString(vec![0xff])).is_err());
        assert_eq!(
            number("testing", &Value::BulkString(b"18446744073709551615".into())).unwrap(),
            u64::MAX
        );
    }
}
