//! Encryption as `options.rs` means it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
};

use super::channel::{Channel, Socket};
use crate::{Identity, Tls, TlsMode};

/// Whether a connection is to be encrypted. `None` where what is demanded cannot be had.
pub(super) fn decide(mode: TlsMode, offered: bool) -> Option<bool> {
    match (mode, offered) {
        (TlsMode::Disabled, _) | (TlsMode::Preferred, false) => Some(false),
        (_, true) => Some(true),
        (TlsMode::Required | TlsMode::VerifyCa | TlsMode::VerifyIdentity, false) => None,
    }
}

/// Encrypts a connection; the handshake is done when this returns.
pub(super) fn encrypt(socket: Socket, host: &str, options: &Tls) -> io::Result<Channel> {
    let invalid = |e: rustls::Error| io::Error::new(io::ErrorKind::InvalidData, e);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("`{host}` is no host name")))?;
    let connection = ClientConnection::new(Arc::new(config(options)?), name).map_err(invalid)?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Channel::Tls(Box::new(stream)))
}

/// What a connection demands of the other side; `Disabled` is not asked here.
pub(crate) fn config(options: &Tls) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match options.mode {
        TlsMode::Disabled | TlsMode::Preferred | TlsMode::Required => {
            Arc::new(ChainOnly { roots: None, provider: Arc::clone(&provider) })
        }
        TlsMode::VerifyCa => {
            Arc::new(ChainOnly { roots: Some(trusted(options)?), provider: Arc::clone(&provider) })
        }
        TlsMode::VerifyIdentity => {
            let roots = Arc::new(trusted(options)?);
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?
        }
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match &options.identity {
        None => Ok(config.with_no_client_auth()),
        Some(identity) => {
            let (certificates, key) = read_identity(identity)?;
            let broken = |e| io::Error::new(io::ErrorKind::InvalidInput, e);
            config.with_client_auth_cert(certificates, key).map_err(broken)
        }
    }
}

/// Our certificate with those that lead to its authority, and its key.
fn read_identity(identity: &Identity) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let unreadable = |path: &Path, e: rustls::pki_types::pem::Error| {
        let reason = format!("cannot read our certificate or its key from `{}`: {e}", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, reason)
    };
    let path = &identity.certificate;
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates: Vec<_> = certificates.map_err(|e| unreadable(path, e))?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|e| unreadable(&identity.key, e))?;
    Ok((certificates, key))
}

/// The authorities of the file, or else the system's.
fn trusted(options: &Tls) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match &options.ca {
        Some(path) => {
            let unreadable = |e| {
                let reason = format!("cannot read certificate authorities from `{}`: {e}", path.display());
                io::Error::new(io::ErrorKind::InvalidInput, reason)
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let certificate = certificate.map_err(unreadable)?;
                roots.add(certificate).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        let reason = "there is no certificate authority to trust: name one with the TLS options";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok(roots)
}

/// Asks that the certificate comes from a trusted authority, or for nothing (`roots` none); never for the host's name. The
/// handshake's own signatures are checked in any case.
#[derive(Debug)]
struct ChainOnly {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_that_cannot_be_met_is_never_forgotten() {
        use TlsMode as M;
        for (mode, offered, decision) in [
            (M::Disabled, true, Some(false)),
            (M::Preferred, true, Some(true)),
            (M::Preferred, false, Some(false)),
            (M::Required, true, Some(true)),
            (M::Required, false, None),
            (M::VerifyCa, false, None),
            (M::VerifyIdentity, false, None),
            (M::VerifyIdentity, true, Some(true)),
        ] {
            assert_eq!(decide(mode, offered), decision, "{mode:?} {offered}");
        }
    }

    #[test]
    fn verifying_without_an_authority_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let options = Tls { mode: TlsMode::VerifyCa, ca: Some(file.path().to_owned()), ..Tls::default() };
        assert!(config(&options).is_err());
    }
}
