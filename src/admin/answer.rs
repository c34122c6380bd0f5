//! Paths and their answers.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use super::guard::{Hosts, same_origin};
use super::server::PATIENCE;
use super::{Control, Readiness, Routes, breaker, calls, query};
use crate::metrics;

/// It is cut where a thread that makes it panics.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, JoinError>>;

/// An answer that says no. Boxed, since it is the rarer result.
type Refusal = Box<Answer>;

const PAGE: &str = include_str!("page.html");

/// The page may run its own script and ask its own origin, nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TEXT: &str = "text/plain; charset=utf-8";

/// The largest body of a request, in bytes.
const BODY: usize = 64 << 10;

/// Of a larger one so much is read and dropped before the answer, so that a client that writes
/// first and reads then gets it.
const DRAINED: usize = 1 << 20;

/// What is there.
#[derive(Clone, Copy)]
enum Route {
    Page,
    Metrics,
    Healthz,
    Readyz,
    Services,
    Why,
    Calls,
    Config,
    LogLevel,
    Reload,
    Drain,
    Breaker,
}

/// A path, what it takes beside `HEAD`, and whether [`Routes::MetricsOnly`] has it.
struct Row(&'static str, Route, &'static [Method], bool);

const ROWS: &[Row] = &[
    Row("/", Route::Page, &[Method::GET], false),
    Row("/metrics", Route::Metrics, &[Method::GET], true),
    Row("/healthz", Route::Healthz, &[Method::GET], true),
    Row("/readyz", Route::Readyz, &[Method::GET], true),
    Row("/services", Route::Services, &[Method::GET], false),
    Row("/why", Route::Why, &[Method::GET], false),
    Row("/calls", Route::Calls, &[Method::GET], false),
    Row("/config", Route::Config, &[Method::GET], false),
    Row(
        "/log-level",
        Route::LogLevel,
        &[Method::GET, Method::POST],
        false,
    ),
    Row("/reload", Route::Reload, &[Method::POST], false),
    Row("/drain", Route::Drain, &[Method::POST], false),
    Row("/breaker", Route::Breaker, &[Method::POST], false),
];

impl Row {
    fn takes(&self, method: &Method) -> bool {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.2.contains(method)
    }

    fn methods(&self) -> String {
        let names: Vec<_> = self.2.iter().map(Method::as_str).collect();
        names.join(", ")
    }
}

/// What every connection of one server shares.
pub(super) struct Face {
    pub(super) control: Arc<dyn Control>,
    routes: Routes,
    hosts: Hosts,
    /// A place for whoever reads the calls of all services.
    pub(super) whole: Arc<Semaphore>,
}

impl Face {
    pub(super) fn new(control: Arc<dyn Control>, routes: Routes, hosts: Hosts) -> Self {
        Self {
            control,
            routes,
            hosts,
            whole: Arc::new(Semaphore::new(1)),
        }
    }

    /// Answers one request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        match self.route(&head) {
            Err(refusal) => *refusal,
            Ok(route) if head.method == Method::POST => match read(body).await {
                Ok(body) => self.change(route, head.uri.query(), &body).await,
                Err(refusal) => *refusal,
            },
            Ok(route) => self.show(route, head.uri.query()).await,
        }
    }

    /// Finds what is asked for; else says why not, and what there is.
    fn route(&self, head: &Parts) -> Result<Route, Refusal> {
        if !self.hosts.allow(head) {
            let why = "the Host header names another host than this one: \
                       ask by the address that tidegate listens on, or as localhost";
            return refuse(StatusCode::MISDIRECTED_REQUEST, why);
        }
        let mut rows = self.rows();
        let Some(row) = rows.find(|row| row.0 == head.uri.path()) else {
            return refuse(StatusCode::NOT_FOUND, &self.what_there_is());
        };
        if !row.takes(&head.method) {
            return Err(Box::new(wrong_method(row)));
        }
        if head.method == Method::POST && !same_origin(head) {
            let why = "a page of another origin may not change anything here";
            return refuse(StatusCode::FORBIDDEN, why);
        }
        Ok(row.1)
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let everything = self.routes == Routes::Everything;
        ROWS.iter().filter(move |row| everything || row.3)
    }

    fn what_there_is(&self) -> String {
        let rows = self
            .rows()
            .map(|row| format!("\n{} {}", row.methods(), row.0));
        format!("no such path; there is:{}", rows.collect::<String>())
    }

    /// What a `GET` shows.
    async fn show(&self, route: Route, query: Option<&str>) -> Answer {
        let control = self.control.clone();
        match route {
            Route::Page => page(),
            Route::Metrics => {
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                made(kind, spawn_blocking(metrics::render).await)
            }
            Route::Services => {
                // Alternate form: indented, for people at a terminal.
                let services = spawn_blocking(move || format!("{:#}\n", control.services()));
                made("application/json", services.await)
            }
            Route::Why => match query::read(query.unwrap_or_default(), ["service", "endpoint"]) {
                Ok([service, endpoint]) => {
                    let why = move || control.why(service.as_deref(), endpoint.as_deref());
                    match spawn_blocking(why).await {
                        Ok(why) => told(StatusCode::NOT_FOUND, why),
                        Err(error) => broken(&error),
                    }
                }
                Err(why) => text(StatusCode::BAD_REQUEST, &why),
            },
            Route::Calls => match calls::wanted(query.unwrap_or_default()) {
                Ok(wanted) => self.calls(wanted).await,
                Err(why) => text(StatusCode::BAD_REQUEST, &why),
            },
            Route::Config => made(TEXT, spawn_blocking(move || control.config()).await),
            Route::LogLevel => text(StatusCode::OK, &control.log_level()),
            Route::Readyz => match control.readiness() {
                Readiness::Ready => text(StatusCode::OK, "ready"),
                Readiness::Starting(why) => unavailable(&format!("starting: {why}")),
                Readiness::Draining => unavailable("draining"),
            },
            // The others take no GET.
            Route::Healthz | Route::Reload | Route::Drain | Route::Breaker => {
                text(StatusCode::OK, "ok")
            }
        }
    }

    /// What a `POST` does.
    async fn change(&self, route: Route, query: Option<&str>, body: &[u8]) -> Answer {
        match route {
            Route::Reload => self.reload().await,
            Route::Breaker => match breaker::order(query.unwrap_or_default()) {
                Ok(order) => told(StatusCode::NOT_FOUND, self.control.breaker(&order)),
                Err(why) => text(StatusCode::BAD_REQUEST, &why),
            },
            Route::Drain => told(StatusCode::CONFLICT, self.control.drain()),
            _ => told(StatusCode::BAD_REQUEST, self.set_log_level(body)),
        }
    }

    /// In a task of its own: a caller that hangs up must not stop it half-way.
    async fn reload(&self) -> Answer {
        let control = self.control.clone();
        match tokio::spawn(async move { control.reload().await }).await {
            Ok(told_us) => told(StatusCode::UNPROCESSABLE_ENTITY, told_us),
            Err(error) => broken(&error),
        }
    }

    fn set_log_level(&self, body: &[u8]) -> Result<String, String> {
        let directives = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        self.control.set_log_level(directives.trim())?;
        Ok(self.control.log_level())
    }
}

/// The whole body of a request.
async fn read(body: Incoming) -> Result<Vec<u8>, Refusal> {
    match timeout(PATIENCE, read_whole(body)).await {
        Ok(Ok(Some(whole))) => Ok(whole),
        Ok(Ok(None)) => {
            let why = format!("the body is larger than {BODY} bytes");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, &why)
        }
        Ok(Err(error)) => {
            let why = format!("the body cannot be read: {error}");
            refuse(StatusCode::BAD_REQUEST, &why)
        }
        Err(_) => {
            let why = format!("the body took longer than {} s", PATIENCE.as_secs());
            refuse(StatusCode::REQUEST_TIMEOUT, &why)
        }
    }
}

/// `None`: it is too large.
async fn read_whole(mut body: Incoming) -> hyper::Result<Option<Vec<u8>>> {
    let (mut whole, mut seen) = (Vec::new(), 0);
    // One that says it is larger still, and may wait to be asked for it, is not even begun.
    if body.size_hint().lower() > DRAINED as u64 {
        return Ok(None);
    }
    while seen <= DRAINED
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            seen += data.len();
            whole.extend_from_slice(&data);
            whole.truncate(BODY);
        }
    }
    Ok((seen <= BODY).then_some(whole))
}

fn refuse<T>(status: StatusCode, why: &str) -> Result<T, Refusal> {
    Err(Box::new(text(status, why)))
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    with_body(status, kind, body.boxed_unsync())
}

pub(super) fn with_body(
    status: StatusCode,
    kind: &'static str,
    body: UnsyncBoxBody<Bytes, JoinError>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Words, with a newline for terminals.
pub(super) fn text(status: StatusCode, words: &str) -> Answer {
    answer(status, TEXT, format!("{}\n", words.trim_end()))
}

pub(super) fn unavailable(why: &str) -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// What a change has led to, or why it was refused.
fn told(refused: StatusCode, result: Result<String, String>) -> Answer {
    match result {
        Ok(words) => text(StatusCode::OK, &words),
        Err(why) => text(refused, &why),
    }
}

/// What another thread has made.
fn made(kind: &'static str, body: Result<String, JoinError>) -> Answer {
    match body {
        Ok(body) => answer(StatusCode::OK, kind, body),
        Err(error) => broken(&error),
    }
}

pub(super) fn broken(error: &JoinError) -> Answer {
    tracing::error!("the admin face could not answer: {error}");
    let why = "tidegate failed to answer this, which is a bug: its log says more";
    text(StatusCode::INTERNAL_SERVER_ERROR, why)
}

fn wrong_method(row: &Row) -> Answer {
    let methods = row.methods();
    let why = format!("{} takes {methods}", row.0);
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, &why);
    if let Ok(allow) = HeaderValue::from_str(&methods) {
        answer.headers_mut().insert(ALLOW, allow);
    }
    answer
}

fn page() -> Answer {
    let mut answer = answer(StatusCode::OK, "text/html; charset=utf-8", PAGE.to_owned());
    let policy = HeaderValue::from_static(PAGE_POLICY);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}
