//! The files that discards wrote. A file may be larger than the console's memory, so it is sent piece by piece.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Component, Path as FilePath};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::task::spawn_blocking;

use crate::config::Right;
use crate::console::Console;
use crate::console::web::{PageRequest, Refusal, needs};
use crate::operator::audit::{Act, AuditEntry, Surface};

/// So much of a file is in memory at once.
const PIECE_BYTES: usize = 64 * 1024;

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
    let opened = spawn_blocking(move || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok::<_, io::Error>((file, length))
    });
    let (file, length) = opened.await.ok().and_then(Result::ok).ok_or_else(gone)?;
    let begun = AuditEntry::begun(&asked.visitor.name, Surface::Console, Act::Reveal, name.clone(), &[]);
    let noted = console.acts.note(&begun.ended(1, "downloaded".to_owned())).await;
    noted.map_err(|error| Refusal::away(&error))?;
    let mut response = Response::new(Body::from_stream(pieces(file, length)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CONTENT_LENGTH, length.into());
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// The first `length` bytes of a file; the next piece is read when the one before is sent.
fn pieces(file: File, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    try_unfold(file.take(length), |mut rest| async move {
        if rest.limit() == 0 {
            return Ok(None);
        }
        let reading = spawn_blocking(move || {
            let mut piece = vec![0; PIECE_BYTES];
            let read = rest.read(&mut piece)?;
            piece.truncate(read);
            Ok::<_, io::Error>((piece, rest))
        });
        let (piece, rest) = reading.await??;
        // A file that has become shorter must not look whole.
        if piece.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((Bytes::from(piece), rest)))
    })
}
