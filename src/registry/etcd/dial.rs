//! A client to one endpoint of etcd, signed in.

use std::path::Path;
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use tokio::time::timeout;

use super::fault::{Fault, Kind};
use super::options::EtcdOptions;

/// etcd cuts connections that ping more often than every 5 s; without pings a frozen peer is never
/// noticed.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// Connects lazily without a user, and by asking for a token with one, if etcd gives tokens. The certificates' files
/// are read anew.
pub(super) async fn dial(options: &EtcdOptions, endpoint: &str) -> Result<Client, Fault> {
    let how = connect_options(options, endpoint).await?;
    match sign_in(options, endpoint, how.clone(), true).await {
        Err(fault) if fault.kind == Kind::AuthOff => sign_in(options, endpoint, how, false).await,
        other => other,
    }
}

async fn sign_in(
    options: &EtcdOptions,
    endpoint: &str,
    how: ConnectOptions,
    as_user: bool,
) -> Result<Client, Fault> {
    let how = match (&options.user, &options.password) {
        (Some(user), Some(password)) if as_user => how.with_user(user, password),
        _ => how,
    };
    let limit = options.connect_timeout + options.request_timeout;
    match timeout(limit, Client::connect([endpoint], Some(how))).await {
        Ok(client) => Ok(client?),
        Err(_) => Err(Fault::timeout("signing in", limit)),
    }
}

async fn connect_options(options: &EtcdOptions, endpoint: &str) -> Result<ConnectOptions, Fault> {
    let how = ConnectOptions::new()
        .with_keep_alive(PING_EVERY, PING_TIMEOUT)
        .with_connect_timeout(options.connect_timeout)
        .with_timeout(options.request_timeout)
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    if !endpoint.starts_with("https://") {
        return Ok(how);
    }
    Ok(how.with_tls(tls(options).await?))
}

async fn tls(options: &EtcdOptions) -> Result<TlsOptions, Fault> {
    let mut tls = TlsOptions::new();
    tls = match &options.ca {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca).await?)),
        None => tls.with_enabled_roots(),
    };
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        tls = tls.identity(Identity::from_pem(read(cert).await?, read(key).await?));
    }
    if let Some(domain) = &options.domain {
        tls = tls.domain_name(domain);
    }
    Ok(tls)
}

async fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    tokio::fs::read(path).await.map_err(|error| {
        Fault::new(
            Kind::Away,
            format!("the TLS file {} cannot be read: {error}", path.display()),
        )
    })
}
