//! Whether a server keeps what it has confirmed.

use std::time::Duration;

use redis::Value;

use super::{reply, server::Connection};
use crate::LinkError;

const DOING: &str = "asking whether the server syncs";

/// What a server's word is worth: whether an event that it has confirmed survives if it is killed or loses power.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisDurability {
    /// It syncs its append only file before it answers.
    Synced,
    /// It does not, or does not tell: confirmed events may be lost with it.
    Weaker {
        /// What is in the way.
        why: Box<str>,
    },
}

pub(super) async fn of(connection: &mut Connection) -> Result<RedisDurability, LinkError> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("append*").arg("no-appendfsync-on-rewrite");
    command.arg("maxmemory").arg("maxmemory-policy");
    let why = match connection.ask(DOING, &command, Duration::ZERO).await {
        Ok(value) => hindrance(&pairs(value)?),
        Err(LinkError::Refused { problem, .. }) => Some(format!("it does not tell: {problem}")),
        Err(error) => return Err(error),
    };
    Ok(why.map_or(RedisDurability::Synced, |why| RedisDurability::Weaker { why: why.into() }))
}

fn pairs(value: Value) -> Result<Vec<(String, String)>, LinkError> {
    let texts = reply::array(DOING, value)?
        .into_iter()
        .map(|value| Ok(String::from_utf8_lossy(&reply::bytes(DOING, value)?).into_owned()))
        .collect::<Result<Vec<_>, LinkError>>()?;
    Ok(texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

fn hindrance(settings: &[(String, String)]) -> Option<String> {
    let get = |name: &str| {
        settings.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    };
    let wanted =
        [("appendonly", "yes"), ("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")];
    for (name, wanted) in wanted {
        let found = get(name);
        if found != wanted {
            return Some(format!(
                "its setting {name} is `{found}`, and would have to be `{wanted}`"
            ));
        }
    }
    let policy = get("maxmemory-policy");
    (get("maxmemory") != "0" && policy != "noeviction").then(|| {
        format!("its setting maxmemory-policy is `{policy}`, and would have to be `noeviction`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_looked_at() {
        let good = [
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("no-appendfsync-on-rewrite", "no"),
            ("maxmemory", "0"),
            ("maxmemory-policy", "allkeys-lru"),
        ];
        let with = |changed: (&str, &str)| -> Vec<(String, String)> {
            let pairs = good.map(|(name, value)| {
                (name.to_owned(), if name == changed.0 { changed.1 } else { value }.to_owned())
            });
            pairs.into()
        };
        assert_eq!(hindrance(&with(("", ""))), None);
        let bad = [
            ("appendonly", "no"),
            ("appendfsync", "everysec"),
            ("no-appendfsync-on-rewrite", "yes"),
        ];
        for (name, value) in bad {
            let why = hindrance(&with((name, value))).unwrap();
            assert!(why.contains(name) && why.contains(value), "{why}");
        }
        assert!(hindrance(&with(("maxmemory", "1000000"))).unwrap().contains("allkeys-lru"));
        assert!(hindrance(&[]).is_some());
    }
}
