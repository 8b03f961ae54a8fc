//! The way to a server that is far away: TCP, plain or encrypted, exactly as the client goes it.
//!
//! Whoever asks for encryption gets it or nothing: where a server offers none, or does not prove what
//! it has to, the login ends before anything of the account is sent.

use std::fs;
use std::io;
use std::path::Path;
use std::str;
use std::sync::Arc;

use mysql_async::DriverError;
use mysql_async::consts::CapabilityFlags;
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::Error as TlsError;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs1KeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::source::mariadb::connection::KEEPALIVE;
use crate::source::mariadb::login::Tls;
use crate::source::mariadb::wire::Result;
use crate::source::mariadb::wire::packets::Packets;

/// What is read of the network at once: TLS by itself reads a quarter of one of its records.
const READ_BYTES: usize = 64 << 10;

/// Returns a connection to the first of the host's addresses that takes one.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    Ok(BufReader::with_capacity(READ_BYTES, stream))
}

/// Fails where a server offers no encryption, or somebody in between says so.
pub(super) fn demand_encryption(offered: CapabilityFlags) -> Result<()> {
    let is_offered = offered.contains(CapabilityFlags::CLIENT_SSL);
    is_offered.then_some(()).ok_or_else(|| DriverError::NoClientSslFlagFromServer.into())
}

/// Encrypts what follows, with a server that was asked to and has the name of its host.
pub(super) async fn encrypt(packets: Packets, tls: &Tls, host: &str) -> Result<Packets> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(config(tls)?));
    Ok(packets.encrypted(&connector, name).await?)
}

/// Returns who is trusted, and who we are.
fn config(tls: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let any_server = AnyServer(provider.signature_verification_algorithms);
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = if tls.is_verified() {
        builder.with_root_certificates(trusted(tls.authority.as_deref())?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(any_server))
    };
    Ok(match tls.certificate.as_deref().zip(tls.key.as_deref()) {
        Some((chain, key)) => {
            builder.with_client_auth_cert(certificates(chain)?, private_key(key)?)?
        }
        None => builder.with_no_client_auth(),
    })
}

/// Returns the certificates that are trusted: those of the authority alone, where one is named.
fn trusted(authority: Option<&Path>) -> Result<RootCertStore> {
    let Some(authority) = authority else {
        return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
    };
    let mut trusted = RootCertStore::empty();
    for certificate in certificates(authority)? {
        trusted.add(certificate)?;
    }
    Ok(trusted)
}

/// Returns the certificates of a file: texts, or the bytes of one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = fs::read(file)?;
    let texts: Vec<_> =
        CertificateDer::pem_slice_iter(&bytes).collect::<std::result::Result<_, _>>()?;
    Ok(if texts.is_empty() { vec![bytes.into()] } else { texts })
}

/// Returns the first private key of a file: a text, or the bytes of one.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let bytes = fs::read(file)?;
    if str::from_utf8(&bytes).is_err() {
        return Ok(PrivatePkcs1KeyDer::from(bytes).into());
    }
    Ok(PrivateKeyDer::from_pem_slice(&bytes)?)
}

/// Takes the certificate of any server, for those who want nobody to listen and do not ask who it is.
/// The server still has to hold the key of what it shows.
#[derive(Debug)]
struct AnyServer(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
