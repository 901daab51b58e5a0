//! The one source of cryptography for TLS.

/// Makes `ring` what every TLS connection of this process uses. To be called before the first one; again does
/// nothing.
pub fn install_crypto_provider() {
    // It fails when one is installed already, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
