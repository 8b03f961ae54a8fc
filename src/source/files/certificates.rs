//! What would keep the certificates of a staged tree from working, seen before they go live.
//!
//! A tree that was so when it was saved must still come back, so nothing here refuses: a key that is
//! not its certificate's, or a certificate that is over, is a warning; one that is for other hosts
//! is a note, since it may be meant so.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::path::Path;

use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use x509_cert::Certificate;
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::base::error::Context as _;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::files::byte_string::ByteString;
use crate::source::files::list::Content;
use crate::source::files::list::Entry;

/// No certificate and no key is larger.
const MAX_BYTES: u64 = 1 << 20;

/// What certificate files are called where their key is called `key`, or ends so.
const NAMES_FOR_KEY: &[&str] = &["cert", "crt", "cer", "pem", "certificate"];

/// Where certificates are to serve.
#[derive(Debug, Clone)]
pub struct Serving {
    /// When it is.
    pub now: Timestamp,
    /// The names and addresses of the host.
    pub names: Vec<String>,
}

/// The certificates and keys of a tree.
#[derive(Default)]
struct Found {
    /// The first certificate of each file, which is the one that the others vouch for.
    certificates: Vec<(ByteString, TbsCertificate)>,
    keys: Vec<(ByteString, PrivateKeyDer<'static>)>,
}

/// Says what is wrong with the certificates among the files that lie at `top`.
pub(super) fn check(
    top: &Path,
    entries: &[Entry],
    serving: &Serving,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut found = Found::default();
    for entry in entries {
        if matches!(entry.content, Content::File { size, .. } if size <= MAX_BYTES) {
            let bytes = read(top, entry).context(|| format!("cannot read {}", entry.path))?;
            found.add(&entry.path, &bytes);
        }
    }
    for (path, certificate) in &found.certificates {
        check_time(path, certificate, serving.now, monitor);
        check_names(path, certificate, &serving.names, monitor);
    }
    check_keys(&found, monitor);
    Ok(())
}

fn read(top: &Path, entry: &Entry) -> std::io::Result<Vec<u8>> {
    let is_single = top.symlink_metadata()?.is_file();
    let path = if is_single { top.to_owned() } else { top.join(entry.path.os()) };
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Found {
    fn add(&mut self, path: &ByteString, bytes: &[u8]) {
        let mut certificates =
            CertificateDer::pem_slice_iter(bytes).filter_map(std::result::Result::ok);
        let first = certificates.find_map(|der| Certificate::from_der(&der).ok());
        if let Some(certificate) = first {
            self.certificates.push((path.clone(), certificate.tbs_certificate().clone()));
        }
        if let Some(Ok(key)) = PrivateKeyDer::pem_slice_iter(bytes).next() {
            self.keys.push((path.clone(), key));
        }
    }
}

fn check_time(
    path: &ByteString,
    certificate: &TbsCertificate,
    now: Timestamp,
    monitor: &dyn Monitor,
) {
    let validity = certificate.validity();
    let time = |time: x509_cert::time::Time| {
        i64::try_from(time.to_unix_duration().as_secs())
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
    };
    if let Some(end) = time(validity.not_after).filter(|end| *end < now) {
        monitor.warn(&format!("certificate {path} expired at {end}"));
    }
    if let Some(start) = time(validity.not_before).filter(|start| *start > now) {
        monitor.warn(&format!("certificate {path} is not valid before {start}"));
    }
}

fn check_names(
    path: &ByteString,
    certificate: &TbsCertificate,
    hosts: &[String],
    monitor: &dyn Monitor,
) {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.get_extension::<SubjectAltName>() else {
        return;
    };
    let names: Vec<String> = names.iter().filter_map(name).collect();
    if names.is_empty() || names.iter().any(|name| hosts.iter().any(|host| is_for(name, host))) {
        return;
    }
    let (names, hosts) = (names.join(", "), hosts.join(", "));
    let names = ByteString::from(names.as_bytes());
    monitor.note(&format!("certificate {path} is for {names}, and this host is {hosts}"));
}

/// Returns the name or the address that a certificate is for.
fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => {
            let four =
                <[u8; 4]>::try_from(bytes.as_bytes()).map(|four| Ipv4Addr::from(four).into());
            let sixteen =
                || <[u8; 16]>::try_from(bytes.as_bytes()).map(|it| Ipv6Addr::from(it).into());
            let address: IpAddr = four.or_else(|_| sixteen()).ok()?;
            Some(address.to_string())
        }
        _ => None,
    }
}

/// Returns whether a name of a certificate is this host's: a short name stands for a long one.
fn is_for(name: &str, host: &str) -> bool {
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    let domain = |name: &str| name.split_once('.').map(|(_, domain)| domain.to_owned());
    let is_address = [&name, &host].iter().any(|it| it.parse::<IpAddr>().is_ok());
    if name == host || is_address {
        return name == host;
    }
    if let Some(wild) = name.strip_prefix("*.") {
        return domain(&host).is_some_and(|domain| domain == wild);
    }
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let is_short = !name.contains('.') || !host.contains('.');
    is_short && first(&name) == first(&host)
}

/// Compares each key with the certificate of its own file, or of the file that is called alike.
fn check_keys(found: &Found, monitor: &dyn Monitor) {
    let certificates: HashMap<_, _> =
        found.certificates.iter().map(|(path, certificate)| (path.bytes(), certificate)).collect();
    for (path, key) in &found.keys {
        let names = certificate_names(path);
        let mut paths = std::iter::once(path).chain(&names);
        let paired = paths.find_map(|path| Some((path, *certificates.get(path.bytes())?)));
        let Some((beside, certificate)) = paired else { continue };
        match public_key(key) {
            Some(public) if public == *certificate.subject_public_key_info() => {}
            Some(_) => monitor.warn(&format!(
                "key {path} does not belong to certificate {beside}: what uses them will not start"
            )),
            None => monitor.note(&format!(
                "key {path} could not be compared with certificate {beside}: its kind is unknown"
            )),
        }
    }
}

/// Returns the public half of a key. Its algorithm is written as certificates have it.
fn public_key(key: &PrivateKeyDer<'_>) -> Option<SubjectPublicKeyInfoOwned> {
    let key = any_supported_type(key).ok()?;
    SubjectPublicKeyInfoOwned::from_der(&key.public_key()?).ok()
}

/// Returns the paths at which the certificate of a key may lie: `a_cert.pem` for `a_key.pem`.
fn certificate_names(path: &ByteString) -> Vec<ByteString> {
    const KEY: &[u8] = b"key";
    let bytes = path.bytes();
    let Some(start) = memchr::memmem::rfind(bytes, KEY) else { return Vec::new() };
    let (before, after) = (&bytes[..start], &bytes[start + KEY.len()..]);
    if after.contains(&b'/') {
        return Vec::new();
    }
    let named = |name: &&str| [before, name.as_bytes(), after].concat().as_slice().into();
    NAMES_FOR_KEY.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_the_host_that_it_names() {
        for (name, host, expected) in [
            ("manager.example.com", "MANAGER.example.com", true),
            ("manager", "manager.example.com", true),
            ("manager.example.com", "manager", true),
            ("*.example.com", "manager.example.com", true),
            ("*.example.com", "a.manager.example.com", false),
            ("*.example.com", "manager", false),
            ("manager.example.org", "manager.example.com", false),
            ("192.0.2.10", "192.0.2.10", true),
            ("192.0.2.10", "192", false),
            ("192", "192.0.2.10", false),
        ] {
            assert_eq!(is_for(name, host), expected, "{name} {host}");
        }
    }

    #[test]
    fn a_key_is_called_as_its_certificate() {
        let names = |path: &str| {
            let names = certificate_names(&path.as_bytes().into());
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(names("a/rabbitmq-key.pem").contains(&"a/rabbitmq-cert.pem".to_owned()));
        assert!(names("server.key").contains(&"server.crt".to_owned()));
        assert!(names("keys/server.pem").is_empty());
    }
}
