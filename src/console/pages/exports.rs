//! The files that discards wrote.

use std::path::{Component, Path as FilePath};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use tokio::task::spawn_blocking;

use crate::config::Right;
use crate::console::Console;
use crate::console::web::{PageRequest, Refusal, needs};
use crate::operator::audit::{Act, AuditEntry, Surface};

/// An export that is larger is taken from the disk.
const LARGEST_EXPORT: u64 = 256 * 1024 * 1024;

/// A file that a discard wrote: personal data, and so a right of its own.
pub(in crate::console) async fn download(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    needs(&asked.visitor, Right::Personal)?;
    let gone = || Refusal::gone("There is no such file any more.");
    let directory = console.settings.exports_dir.as_ref().ok_or_else(gone)?;
    let is_ours = name.starts_with("milepost-discarded-")
        && FilePath::new(&name).extension().is_some_and(|of| of == "jsonl");
    let mut parts = FilePath::new(&name).components();
    let is_plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    if !is_ours || !is_plain {
        return Err(gone());
    }
    let path = directory.join(&name);
    let shown = path.display().to_string();
    let read = spawn_blocking(move || {
        let length = std::fs::metadata(&path)?.len();
        if length > LARGEST_EXPORT { Ok(None) } else { std::fs::read(&path).map(Some) }
    });
    let Some(bytes) = read.await.ok().and_then(std::io::Result::ok).ok_or_else(gone)? else {
        return Err(Refusal::bad(format!("The file is large: take it from {shown}.")));
    };
    let begun = AuditEntry::begun(&asked.visitor.name, Surface::Console, Act::Reveal, name.clone(), &[]);
    let noted = console.acts.note(&begun.ended(1, "downloaded".to_owned())).await;
    noted.map_err(|error| Refusal::away(&error))?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}
