//! Whether a service is well: a GET, or a command, asked until it says so or the limit is reached.
//!
//! An appliance serves its own address with a certificate that it signed itself, for names by which
//! this host hardly calls itself. So a loopback address (`localhost`, `127.0.0.1`, `::1`) may
//! show any certificate: nobody else answers there. Any other address must show one that this
//! host's own list of authorities vouches for; where that is not so, a command can ask (`curl
//! --cacert`). A redirection is an answer, not a way: the page to log in at says nothing of health.

use std::error;
use std::iter::successors;
use std::time::Duration;

use reqwest::Client;
use reqwest::Url;
use reqwest::redirect::Policy;
use rustls::crypto::ring;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::process::Process;
use crate::profile::service::Check;
use crate::profile::service::Health;
use crate::system::units;

/// How long is waited until it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const MAX_BODY: usize = 256 << 10;
/// Characters of it that are told.
const TOLD: usize = 200;

/// Returns how many checks were asked, once all say that the service is well, one after the other;
/// those of units that this host does not know are left out. Fails with [`Kind::Hook`] when one has not said so by its
/// limit, and tells the last answer.
pub async fn wait_until_well(checks: &[Health], monitor: &dyn Monitor) -> Result<usize> {
    let mut count = 0;
    for health in checks {
        if units::present(health.unit.as_slice()).await?.len() < health.unit.as_slice().len() {
            continue;
        }
        let asked = name(&health.check);
        monitor.step(&format!("wait for {asked}"), None);
        let last = Instant::now() + health.limit;
        while let Err(answer) = ask(&health.check, last).await? {
            if Instant::now() + PAUSE >= last {
                let seconds = health.limit.as_secs_f64();
                let told = format!("the service is not well after {seconds} s: {asked} {answer}");
                let hint = "its log tells more; the profile says what is asked, and for how long";
                return Err(Error::new(Kind::Hook, told).hint(hint));
            }
            sleep(PAUSE).await;
        }
        count += 1;
    }
    Ok(count)
}

/// Returns how messages name a check: without anything that may be secret.
fn name(check: &Check) -> String {
    match check {
        Check::Http { url, .. } => Url::parse(url).map_or_else(|_| url.clone(), shown),
        Check::Command(command) => Process::shell(command, PATIENCE).name().to_owned(),
    }
}

/// Returns an address without account and query, where tokens stand.
fn shown(mut url: Url) -> String {
    _ = url.set_username("");
    _ = url.set_password(None);
    url.set_query(None);
    url.into()
}

/// Asks once; an answer of a service that is not well is what it says, as what follows its name.
async fn ask(check: &Check, last: Instant) -> Result<std::result::Result<(), String>> {
    match check {
        Check::Http { url, status, contains } => get(url, *status, contains.as_deref()).await,
        Check::Command(command) => {
            let left = last.saturating_duration_since(Instant::now()).max(PAUSE);
            let ended = Process::shell(command, left).run(&|_| {}, std::future::pending()).await?;
            let line = ended.output.last().map(|line| format!(": {line}")).unwrap_or_default();
            Ok(if ended.is_success() { Ok(()) } else { Err(format!("{}{line}", ended.end)) })
        }
    }
}

async fn get(
    url: &str,
    status: u16,
    contains: Option<&str>,
) -> Result<std::result::Result<(), String>> {
    let url = Url::parse(url)
        .map_err(|error| Error::new(Kind::Usage, format!("cannot ask {url}: {error}")))?;
    let response = match client(&url)?.get(url).send().await {
        Ok(response) => response,
        Err(error) => return Ok(Err(format!("does not answer: {}", causes(&error)))),
    };
    let answered = response.status();
    let body = body(response).await;
    let start: String = body.chars().take(TOLD).collect();
    if answered != status {
        return Ok(Err(format!("answers {answered}, not {status}: {start}")));
    }
    match contains {
        Some(text) if !body.contains(text) => {
            Ok(Err(format!("answers {answered} without {text:?}: {start}")))
        }
        _ => Ok(Ok(())),
    }
}

/// Returns who asks this address, and no other.
fn client(url: &Url) -> Result<Client> {
    // Another part of this process may have said so before.
    drop(ring::default_provider().install_default());
    let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE);
    // Without TLS no certificate is shown, and a host may have no list of authorities.
    let shows_any = is_loopback(url) || url.scheme() != "https";
    let client = client.tls_danger_accept_invalid_certs(shows_any);
    client.build().context(|| "cannot prepare the health check".to_owned())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns the body, as far as it is read.
async fn body(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY - bytes.len())]);
        if bytes.len() == MAX_BODY {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the last cause of an error, which alone says something: no connection, no certificate.
fn causes(error: &reqwest::Error) -> String {
    let first: &(dyn error::Error + 'static) = error;
    let last = successors(Some(first), |cause| cause.source()).last();
    if error.is_timeout() {
        return format!("nothing came for {} s", PATIENCE.as_secs());
    }
    last.map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests;
