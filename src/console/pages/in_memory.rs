//! What a page says instead, while the fleet is in memory.

use axum::http::Uri;
use axum::response::Response;
use maud::html;

use crate::console::page::{self, MENU};
use crate::console::web::PageRequest;

/// The page, whichever it is.
pub(in crate::console) async fn page(uri: Uri, asked: PageRequest) -> Response {
    let (path, title) = MENU.into_iter().find(|(path, _)| *path == uri.path()).unwrap_or(MENU[0]);
    let content = html! {
        p class="notice plain" role="status" { "This fleet is in memory, in one process: there is no RabbitMQ and no Redis that this page could ask. " strong { "Now" } " shows its state, and the process's own output has each update and each refusal." }
        p { code { "make up" } " starts the same fleet on a private RabbitMQ and Redis, and " code { "milepost run --amqp URL --redis URL" } " on those there are. Then this page works." }
    };
    page::page(&asked.visitor, path, title, &content)
}
