//! What a supervisor asks: is the process there, and could it take mail now.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};

/// Tells how the gate is. May block.
pub type Readiness = Arc<dyn Fn() -> ReadinessReport + Send + Sync>;

/// How the gate is, one sentence for each thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadinessReport {
    /// What stands in the way of taking mail.
    pub problems: Vec<String>,
    /// What somebody has to look after while mail is taken.
    pub warnings: Vec<String>,
}

/// The routes for the inside: never on an address the outside world reaches.
pub fn admin_router(readiness: Readiness) -> Router {
    let ready = move || {
        let readiness = Arc::clone(&readiness);
        async move { readyz(readiness).await }
    };
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(ready))
}

async fn healthz() -> Response<Body> {
    json_answer(StatusCode::OK, &json!({ "status": "ok" }))
}

async fn readyz(readiness: Readiness) -> Response<Body> {
    let asked = tokio::task::spawn_blocking(move || readiness()).await;
    let failed =
        || ReadinessReport { problems: vec!["the readiness check itself failed".to_owned()], warnings: Vec::new() };
    let ReadinessReport { problems, warnings } = asked.unwrap_or_else(|_| failed());
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_answer(status, &json!({ "ready": problems.is_empty(), "problems": problems, "warnings": warnings }))
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{value}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
