//! How a user logs in, and what limits it: read from `mysql.global_priv`, written as SQL.
//!
//! The server keeps this as JSON, with keys that come and go between versions. Each key that is
//! known is taken into a field of ours; one that is not is told, never copied.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::accounts::decide::Live;
use crate::source::mariadb::quote;

/// The limits: the server's keys, and the words of `CREATE USER`.
const LIMITS: &[(&str, &str)] = &[
    ("max_questions", "MAX_QUERIES_PER_HOUR"),
    ("max_updates", "MAX_UPDATES_PER_HOUR"),
    ("max_connections", "MAX_CONNECTIONS_PER_HOUR"),
    ("max_user_connections", "MAX_USER_CONNECTIONS"),
    ("max_statement_time", "MAX_STATEMENT_TIME"),
];

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

const NATIVE: &str = "mysql_native_password";

/// The properties of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Properties {
    /// The ways to log in, in the order in which they are tried.
    ways: Vec<Way>,
    /// What a connection must be encrypted with.
    #[serde(default)]
    tls: Tls,
    /// The limits that are set, by the words for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_locked: bool,
    /// Whether the password has to be changed first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_expired: bool,
    /// How many days a password is good for, 0 for ever; the server's own rule where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifetime_days: Option<u32>,
}

/// A plugin, and what it compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Way {
    plugin: String,
    #[serde(default)]
    hash: Hash,
}

/// The hash of a password, or what else a plugin keeps. It is written to the schema blob alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Hash(String);

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hash")
    }
}

/// What `REQUIRE` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tls {
    /// Nothing.
    #[default]
    Plain,
    /// Encryption.
    Any,
    /// A certificate of the client.
    Certificate,
    /// A certificate that says this; what is empty is not asked for.
    Specified { cipher: String, issuer: String, subject: String },
}

/// A value of `mysql.global_priv.Priv`.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Stored {
    plugin: String,
    authentication_string: String,
    auth_or: Vec<StoredWay>,
    ssl_type: u8,
    ssl_cipher: String,
    x509_issuer: String,
    x509_subject: String,
    account_locked: bool,
    password_last_changed: Option<i64>,
    password_lifetime: Option<i64>,
    default_role: String,
    pub(super) is_role: bool,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// One of several ways to log in; the one that stands with the account itself is left empty.
#[derive(Deserialize)]
struct StoredWay {
    plugin: Option<String>,
    #[serde(default)]
    authentication_string: String,
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            plugin: String::new(),
            authentication_string: String::new(),
            auth_or: Vec::new(),
            ssl_type: 0,
            ssl_cipher: String::new(),
            x509_issuer: String::new(),
            x509_subject: String::new(),
            account_locked: false,
            password_last_changed: None,
            password_lifetime: None,
            default_role: String::new(),
            is_role: false,
            others: Map::new(),
        }
    }
}

impl Stored {
    /// Returns what this JSON says; its text stays out of any error.
    pub(super) fn parse(json: &str, name: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|_| {
            Error::failed(format!("cannot understand what the server keeps of account {name}"))
        })
    }

    /// Returns the role that the user has from its login on.
    pub(super) fn default_role(&self) -> Option<String> {
        (!self.default_role.is_empty()).then(|| self.default_role.clone())
    }

    /// Returns when the password was changed last, in seconds since 1970.
    pub(super) fn password_changed(&self) -> Option<i64> {
        self.password_last_changed.filter(|seconds| *seconds > 0)
    }

    /// Returns the keys that only a newer server knows.
    pub(super) fn unknown(&self) -> Vec<&str> {
        let is_known = |key: &str| {
            matches!(key, "access" | "version_id") || LIMITS.iter().any(|(limit, _)| *limit == key)
        };
        self.others.keys().map(String::as_str).filter(|key| !is_known(key)).collect()
    }

    /// Returns the properties of a user.
    pub(super) fn properties(&self) -> Properties {
        let own = || Way {
            plugin: if self.plugin.is_empty() { NATIVE.to_owned() } else { self.plugin.clone() },
            hash: Hash(self.authentication_string.clone()),
        };
        let way = |stored: &StoredWay| match &stored.plugin {
            Some(plugin) => {
                Way { plugin: plugin.clone(), hash: Hash(stored.authentication_string.clone()) }
            }
            None => own(),
        };
        let ways = match self.auth_or.as_slice() {
            [] => vec![own()],
            several => several.iter().map(way).collect(),
        };
        Properties {
            ways,
            tls: match self.ssl_type {
                0 => Tls::Plain,
                1 => Tls::Any,
                2 => Tls::Certificate,
                _ => Tls::Specified {
                    cipher: self.ssl_cipher.clone(),
                    issuer: self.x509_issuer.clone(),
                    subject: self.x509_subject.clone(),
                },
            },
            limits: self.limits(),
            is_locked: self.account_locked,
            is_expired: self.password_last_changed == Some(0),
            lifetime_days: self.password_lifetime.and_then(|days| u32::try_from(days).ok()),
        }
    }

    fn limits(&self) -> BTreeMap<String, String> {
        let set = LIMITS.iter().filter_map(|(key, words)| {
            let number = self.others.get(*key)?.as_f64().filter(|number| *number != 0.0)?;
            Some(((*words).to_owned(), number.to_string()))
        });
        set.collect()
    }
}

/// What time has made of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// It does not age.
    Unlimited,
    /// It has some days left, and gets them all again: a server counts from its creation.
    Renewed,
    /// It is good no more.
    Over,
}

impl Properties {
    /// Returns what has become of a password that was changed last at that time.
    pub(super) fn age(&self, changed: Option<i64>, live: &Live) -> Age {
        let days = i64::from(self.lifetime_days.unwrap_or(live.default_lifetime_days));
        let lived = changed.map(|changed| live.now.saturating_sub(changed) / SECONDS_OF_A_DAY);
        match (days, lived) {
            (0, _) => Age::Unlimited,
            // It has to be changed whatever its age.
            _ if self.is_expired => Age::Unlimited,
            (days, Some(lived)) if lived >= days => Age::Over,
            _ => Age::Renewed,
        }
    }

    /// Makes its password one that has to be changed first.
    pub(super) fn expire(&mut self) {
        self.is_expired = true;
    }

    /// Returns the plugins that the ways to log in need.
    pub(super) fn plugins(&self) -> impl Iterator<Item = &str> {
        self.ways.iter().map(|way| way.plugin.as_str())
    }

    /// Returns whether this text gives a hash away.
    pub(super) fn is_told_by(&self, text: &str) -> bool {
        self.ways.iter().any(|way| !way.hash.0.is_empty() && text.contains(&way.hash.0))
    }

    /// Returns the statements that create a user of this quoted name.
    pub(super) fn create(&self, name: &str) -> Result<Vec<String>> {
        let limits = self.limits_sql()?;
        let mut create = format!("CREATE USER {name}{}{}{limits}", self.ways_sql(), self.tls.sql());
        if self.is_locked {
            create.push_str(" ACCOUNT LOCK");
        }
        let lifetime = self.lifetime_days.map(|days| match days {
            0 => "PASSWORD EXPIRE NEVER".to_owned(),
            days => format!("PASSWORD EXPIRE INTERVAL {days} DAY"),
        });
        // One statement takes one of the two.
        Ok(match (self.is_expired, lifetime) {
            (false, None) => vec![create],
            (false, Some(lifetime)) => vec![format!("{create} {lifetime}")],
            (true, None) => vec![format!("{create} PASSWORD EXPIRE")],
            (true, Some(lifetime)) => {
                vec![format!("{create} PASSWORD EXPIRE"), format!("ALTER USER {name} {lifetime}")]
            }
        })
    }

    fn ways_sql(&self) -> String {
        let ways = self.ways.iter().map(|way| {
            let plugin = quote::identifier(&way.plugin);
            match way.hash.0.as_str() {
                "" => plugin,
                hash => format!("{plugin} USING {}", quote::string(hash)),
            }
        });
        format!(" IDENTIFIED VIA {}", ways.collect::<Vec<_>>().join(" OR "))
    }

    fn limits_sql(&self) -> Result<String> {
        let mut sql = String::new();
        for (words, number) in &self.limits {
            let is_known = LIMITS.iter().any(|(_, known)| known == words);
            if !is_known || number.parse::<f64>().is_err() {
                return Err(Error::damaged(format!("{words:?} is no limit of an account")));
            }
            sql.push_str(if sql.is_empty() { " WITH " } else { " " });
            let _ = write!(sql, "{words} {number}");
        }
        Ok(sql)
    }
}

impl Tls {
    fn sql(&self) -> String {
        match self {
            Self::Plain => String::new(),
            Self::Any => " REQUIRE SSL".to_owned(),
            Self::Certificate => " REQUIRE X509".to_owned(),
            Self::Specified { cipher, issuer, subject } => {
                let parts = [("CIPHER", cipher), ("ISSUER", issuer), ("SUBJECT", subject)];
                let asked = parts.into_iter().filter(|(_, value)| !value.is_empty());
                let asked = asked.map(|(word, value)| format!("{word} {}", quote::string(value)));
                format!(" REQUIRE {}", asked.collect::<Vec<_>>().join(" AND "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn created(json: &str) -> Vec<String> {
        Stored::parse(json, "a").unwrap().properties().create("`a`@`h`").unwrap()
    }

    #[test]
    fn what_the_server_keeps_becomes_a_statement_that_says_the_same() {
        for (json, expected) in [
            (r#"{"access": 18446744073709551615}"#, " IDENTIFIED VIA `mysql_native_password`"),
            (
                r#"{"plugin": "p", "authentication_string": "x", "auth_or":
                   [{"plugin": "ed25519", "authentication_string": "it's"}, {}, {"plugin": "s"}]}"#,
                " IDENTIFIED VIA `ed25519` USING 'it''s' OR `p` USING 'x' OR `s`",
            ),
            (
                r#"{"plugin": "s", "ssl_type": 3, "ssl_cipher": "", "x509_issuer": "/C=\\",
                   "x509_subject": "b", "max_questions": 5, "max_user_connections": -1,
                   "max_updates": 0, "max_statement_time": 1.500000, "account_locked": true,
                   "password_last_changed": 12, "password_lifetime": 0}"#,
                " IDENTIFIED VIA `s` REQUIRE ISSUER '/C=\\\\' AND SUBJECT 'b' WITH \
                 MAX_QUERIES_PER_HOUR 5 MAX_STATEMENT_TIME 1.5 MAX_USER_CONNECTIONS -1 \
                 ACCOUNT LOCK PASSWORD EXPIRE NEVER",
            ),
            (
                r#"{"plugin": "s", "ssl_type": 1, "password_last_changed": 0, "password_lifetime": -1}"#,
                " IDENTIFIED VIA `s` REQUIRE SSL PASSWORD EXPIRE",
            ),
        ] {
            assert_eq!(created(json), [format!("CREATE USER `a`@`h`{expected}")], "{json}");
        }
        let both =
            created(r#"{"plugin": "s", "password_last_changed": 0, "password_lifetime": 7}"#);
        assert_eq!(both[1], "ALTER USER `a`@`h` PASSWORD EXPIRE INTERVAL 7 DAY");
    }

    #[test]
    fn keys_of_a_newer_server_are_named() {
        let stored =
            Stored::parse(r#"{"plugin": "p", "max_questions": 1, "deny": 7}"#, "a").unwrap();
        assert_eq!(stored.unknown(), ["deny"]);
    }

    #[test]
    fn a_limit_that_is_none_is_damage() {
        for limit in [r#""MAX_X": "1""#, r#""MAX_USER_CONNECTIONS": "1 ACCOUNT UNLOCK""#] {
            let json = format!(r#"{{"ways": [{{"plugin": "p"}}], "limits": {{{limit}}}}}"#);
            let properties: Properties = serde_json::from_str(&json).unwrap();
            assert!(properties.create("`a`@`h`").is_err(), "{limit}");
        }
    }

    proptest! {
        #[test]
        fn a_hash_is_written_to_json_and_never_to_debug(hash in "[a-zA-Z0-9*]{12,40}") {
            let stored = format!(r#"{{"plugin": "p", "authentication_string": "{hash}"}}"#);
            let properties = Stored::parse(&stored, "a").unwrap().properties();
            let debug = format!("{properties:#?}");
            prop_assert!(!debug.contains(&hash));
            prop_assert!(serde_json::to_string(&properties).unwrap().contains(&hash));
            let answer = format!("near '{hash}'");
            prop_assert!(properties.is_told_by(&answer));
        }
    }
}
