//! From an address and its options to a store. Neither errors nor anything else tells a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use fastfeat_engine::error::{CheckpointError, CheckpointFault};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::memory::InMemory;
use object_store::{ObjectStore, RetryConfig};

use crate::disk::StoreDisk;

const SCHEMES: &str = "s3://, gs://, az://, abfs://, memory:// and file://";
/// What a name of an option or of an environment variable has in it whose value is not to be seen.
const SECRET: [&str; 7] = ["key", "secret", "token", "sas", "password", "authority_id", "credential"];

/// Whether a text is an address of something else than a file of this machine.
pub fn is_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// The path behind a `file://` address; `None` for any other.
pub fn local(address: &str) -> Option<PathBuf> {
    url::Url::parse(address).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
}

/// The store of an address. Credentials and endpoints are those of the environment (`AWS_*`, `GOOGLE_*`, `AZURE_*`), and `options` stand
/// before them: names as the library has them, and `max_retries` and `retry_timeout`.
///
/// ```
/// let disk = fastfeat_stores::open("memory://example/state", &[]).expect("memory needs no credentials");
/// let error = fastfeat_stores::open("s3://bucket/state", &[("acess_key_id".into(), "x".into())]).expect_err("misspelt");
/// assert!(error.to_string().contains("`acess_key_id`"));
/// # drop(disk);
/// ```
///
/// # Errors
/// The address or an option has no meaning, or the runtime of the network cannot begin.
pub fn open(address: &str, options: &[(String, String)]) -> Result<StoreDisk, CheckpointError> {
    let shown = without_secrets(address);
    let refused = |message: String| CheckpointError { fault: CheckpointFault::Refused, place: shown.clone(), message };
    let (scheme, rest) = address.split_once("://").ok_or_else(|| refused(format!("it is no address: {SCHEMES}")))?;
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if shown != address {
        return Err(refused(
            "credentials do not stand in an address; give them as options, or in the environment".into(),
        ));
    }
    if bucket.is_empty() && scheme != "memory" {
        return Err(refused(format!("it names no bucket; write {scheme}://bucket/folder")));
    }
    if let Err(error) = object_store::path::Path::parse(path) {
        return Err(refused(format!("its path is none of an object: {error}")));
    }
    // Another provider may have been chosen by the process already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = format!("{scheme}://{bucket}");
    let settings = Settings::of(options).map_err(&refused)?;
    let secrets = settings.secrets();
    let built = match scheme {
        "s3" | "s3a" => {
            let mut builder = AmazonS3Builder::from_env().with_url(&root).with_retry(settings.retry.clone());
            for (name, value) in &settings.others {
                builder = builder.with_config(key::<AmazonS3ConfigKey>(name, "S3").map_err(&refused)?, value);
            }
            builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(&root).with_retry(settings.retry.clone());
            for (name, value) in &settings.others {
                builder = builder.with_config(key::<GoogleConfigKey>(name, "Google").map_err(&refused)?, value);
            }
            builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }
        "az" | "adl" | "azure" | "abfs" | "abfss" => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(&root).with_retry(settings.retry.clone());
            for (name, value) in &settings.others {
                builder = builder.with_config(key::<AzureConfigKey>(name, "Azure").map_err(&refused)?, value);
            }
            builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }
        "memory" => match settings.others.first() {
            Some((name, _)) => return Err(refused(format!("a store in memory has no option `{name}`"))),
            None => Ok(memory(bucket)),
        },
        _ => return Err(refused(format!("`{scheme}://` is no scheme of a store here: {SCHEMES}"))),
    };
    let store = built.map_err(|error| refused(hide(error.to_string(), &secrets)))?;
    StoreDisk::new(root, store, secrets)
        .map_err(|error| refused(format!("the runtime of the network does not begin: {error}")))
}

/// An address as it may be shown: without a user before the host, or anything after a question mark.
fn without_secrets(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    // Azure writes container@account.
    let authority = match authority.rsplit_once('@') {
        Some((before, host)) if !scheme.starts_with('a') || before.contains(':') => host,
        _ => authority,
    };
    format!("{scheme}://{authority}{path}")
}

/// Takes secrets out of a message.
pub(crate) fn hide(message: String, secrets: &[String]) -> String {
    secrets.iter().fold(message, |message, secret| message.replace(secret, "***"))
}

/// Stores in memory live as long as the process, by their names.
fn memory(name: &str) -> Arc<dyn ObjectStore> {
    static STORES: Mutex<BTreeMap<String, Arc<InMemory>>> = Mutex::new(BTreeMap::new());
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(stores.entry(name.to_owned()).or_default()) as _
}

fn key<K: FromStr>(name: &str, store: &str) -> Result<K, String> {
    name.parse().map_err(|_| {
        format!("the option `{name}` is none of a store of {store}; names are those of the library, such as `endpoint`, `allow_http`, `max_retries`")
    })
}

/// What options say: how often a request is tried again, and what the library is to know.
struct Settings {
    retry: RetryConfig,
    others: Vec<(String, String)>,
}

impl Settings {
    fn of(options: &[(String, String)]) -> Result<Self, String> {
        let mut settings = Self { retry: RetryConfig::default(), others: Vec::new() };
        for (name, value) in options {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "max_retries" => {
                    settings.retry.max_retries =
                        value.parse().map_err(|_| format!("max_retries is `{value}`; write a number, 0 or more"))?;
                }
                "retry_timeout" => {
                    settings.retry.retry_timeout = humantime::parse_duration(value)
                        .map_err(|_| format!("retry_timeout is `{value}`; write a duration such as `30s`"))?;
                }
                _ => settings.others.push((name, value.clone())),
            }
        }
        Ok(settings)
    }

    /// Values that no message may tell: of the options, and of the environment that the library reads.
    fn secrets(&self) -> Vec<String> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?.to_ascii_lowercase();
            let is_ours = ["aws_", "google_", "azure_"].iter().any(|prefix| name.starts_with(prefix));
            is_ours.then(|| value.into_string().ok().map(|value| (name, value)))?
        });
        let is_secret = |name: &str| SECRET.iter().any(|part| name.contains(part)) && !name.contains("key_id");
        let mut secrets: Vec<String> = (self.others.iter().cloned().chain(environment))
            .filter(|(name, value)| is_secret(name) && value.len() >= 4)
            .map(|(_, value)| value)
            .collect();
        // What is part of another goes after it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme() {
        for text in ["s3://bucket", "memory://", "gs://b/c", "file:///tmp", "ftp://x"] {
            assert!(is_address(text), "{text}");
        }
        for text in ["", "folder", "/a/b", "C://x", "a b://c", "s3:/bucket"] {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn a_file_address_is_a_path() {
        assert_eq!(local("file:///tmp/a%20b/"), Some("/tmp/a b/".into()));
        assert_eq!(local("s3://bucket/a"), None);
        assert_eq!(local("/tmp/a"), None);
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_says_the_way_out() {
        for (address, option, told) in [
            ("s3://bucket/a", Some(("sekret", "hush-hush")), "the option `sekret` is none of a store of S3"),
            ("s3://bucket/a", Some(("max_retries", "some")), "max_retries is `some`; write a number"),
            ("s3://bucket/a", Some(("retry_timeout", "soon")), "write a duration such as `30s`"),
            ("memory://a/b", Some(("endpoint", "x")), "a store in memory has no option `endpoint`"),
            ("s3:///a", None, "it names no bucket; write s3://bucket/folder"),
            ("s3://bucket/a//b", None, "its path is none of an object"),
            ("ftp://host/a", None, "`ftp://` is no scheme of a store here: s3://"),
        ] {
            let options: Vec<_> = option.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let error = open(address, &options).expect_err(address);
            assert_eq!((error.fault, error.place.as_str()), (CheckpointFault::Refused, address));
            assert!(error.message.contains(told), "{}", error.message);
            assert!(!error.message.contains("hush-hush"), "{}", error.message);
        }
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_not_shown() {
        for address in ["s3://id:hush-hush@bucket/a", "s3://bucket/a?sig=hush-hush", "abfss://c:hush-hush@host/a"] {
            let error = open(address, &[]).expect_err(address).to_string();
            assert!(error.contains("credentials do not stand in an address"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        assert_eq!(without_secrets("abfss://container@account.host/a"), "abfss://container@account.host/a");
    }

    #[test]
    fn values_of_secret_options_are_taken_out_of_messages() {
        let options =
            [("AWS_SECRET_ACCESS_KEY", "wJalrXUt"), ("access_key_id", "AKIA1234"), ("token", "wJalrXUt-more")];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = Settings::of(&options).expect("known").secrets();
        let told = hide("wJalrXUt-more and wJalrXUt of AKIA1234".to_owned(), &secrets);
        assert_eq!(told, "*** and *** of AKIA1234");
    }
}
