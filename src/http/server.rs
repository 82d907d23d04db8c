//! Connections, with a bound on everything that a stranger can make grow: their number, the size of a request's
//! head, and the time that each may take.

use super::access::Access;
use crate::telemetry::Metrics;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use openssl::ssl::{Ssl, SslAcceptor};
use socket2::SockRef;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_openssl::SslStream;
use tracing::{debug, warn};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// Bytes of a request's head, and headers in it; more is answered with 431.
const HEAD_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// For TLS to be agreed upon, and for a request's head to come; idle connections end by it, too.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// Without an acknowledgement for so long a reader is gone.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);
/// Wait after the system refused a connection: for want of file descriptors, mostly.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// Accepts and answers for ever.
pub async fn serve(listener: TcpListener, router: Router, access: Arc<Access>, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "HTTP: no connection can be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let (router, metrics, tls) = (router.clone(), metrics.clone(), access.tls());
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX)) {
                debug!(%error, "HTTP: no bound on unacknowledged data");
            }
            let Some(tls) = tls else { return answer(stream, router).await };
            match secured(&tls, stream).await {
                Ok(stream) => answer(stream, router).await,
                Err(reason) => {
                    metrics.http_refused.with_label_values(&["tls"]).inc();
                    debug!(reason, "HTTP: no TLS");
                }
            }
        });
    }
}

async fn secured(tls: &SslAcceptor, stream: TcpStream) -> Result<SslStream<TcpStream>, String> {
    let mut stream =
        Ssl::new(tls.context()).and_then(|ssl| SslStream::new(ssl, stream)).map_err(|error| error.to_string())?;
    match tokio::time::timeout(HANDSHAKE_MAX, Pin::new(&mut stream).accept()).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no handshake in time".to_owned()),
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        debug!(%error, "HTTP: connection ended");
    }
}
