//! What all pages have: their frame, and how times, numbers and words look.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, html};

use super::access::Visitor;
use super::web::{FormFields, Refusal, token};
use crate::operator::printable::printable;
use crate::operator::waiting::span;

/// The pages, in the order of the menu.
pub(super) const MENU: [(&str, &str); 8] = [
    ("/", "Now"),
    ("/delivery", "Delivery"),
    ("/parked", "Parked"),
    ("/waiting", "Waiting"),
    ("/subscribers", "Subscribers"),
    ("/health", "Health"),
    ("/acts", "Acts"),
    ("/audit", "Audit"),
];

/// A state, in the colours of the overview board: green, orange, red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Plain,
}

impl Tone {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

pub(super) fn page(visitor: &Visitor, here: &str, title: &str, content: &Markup) -> Response {
    let menu = html! {
        nav aria-label="Pages" { ul {
            @for (path, name) in MENU {
                li { a href=(path) aria-current=[(path == here).then_some("page")] { (name) } }
            }
        } }
        form class="search" role="search" action="/delivery" method="get" {
            label for="search" class="hidden" { "Any id: of a delivery, an event or a receipt, or the merchant's reference" }
            input id="search" type="search" name="id" placeholder="Any id or reference" required autocomplete="off" spellcheck="false";
            button type="submit" { "Find" }
        }
        div class="who" {
            span { (visitor.name) }
            @if visitor.has_session {
                form action="/logout" method="post" { (token(visitor)) button type="submit" class="quiet" { "Log out" } }
            }
        }
    };
    frame(title, &menu, content)
}

/// A page without a user: without the menu.
pub(super) fn bare(title: &str, content: &Markup) -> Response {
    frame(title, &html! {}, content)
}

fn frame(title: &str, menu: &Markup, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Milepost" }
                link rel="stylesheet" href="/assets/console.css";
                link rel="icon" type="image/svg+xml" href="/assets/icon.svg";
                script src="/assets/console.js" defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header { a class="brand" href="/" { "Milepost" } (menu) }
                main id="main" tabindex="-1" { h1 { (title) } (content) }
                footer { "Milepost " (env!("CARGO_PKG_VERSION")) " · times are UTC" }
            }
        }
    };
    html_response(page)
}

fn html_response(page: Markup) -> Response {
    let mut response = page.into_string().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("assets/console.css"))
}

/// The script for live updates.
pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("assets/console.js"))
}

/// What a browser shows beside the title.
pub(super) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("assets/icon.svg"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TableColumn {
    Text(&'static str),
    Number(&'static str),
    /// Its cells explain themselves: its name is for screen readers.
    Unnamed(&'static str),
}

/// A table that may be wider than the page, and is then scrolled in a frame of its own, also by the keyboard.
pub(super) fn table(label: &str, columns: &[TableColumn], rows: &Markup) -> Markup {
    html! { div class="scroll" tabindex="0" role="region" aria-label=(label) { table {
        thead { tr { @for column in columns { @match column {
            TableColumn::Text(name) => th scope="col" { (name) },
            TableColumn::Number(name) => th scope="col" class="num" { (name) },
            TableColumn::Unnamed(name) => th scope="col" { span class="hidden" { (name) } },
        } } } }
        tbody { (rows) }
    } } }
}

pub(super) fn badge(tone: Tone, words: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (words) } }
}

/// A notice above a page's content.
pub(super) fn notice(tone: Tone, words: &str) -> Markup {
    html! { p class={ "notice " (tone.class()) } { (printable(words)) } }
}

/// A time, and how long ago it was.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    let full = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    html! { time datetime=(full) title=(full) { (at.strftime("%Y-%m-%d %H:%M:%S").to_string()) " " span class="ago" { (ago(at, now)) } } }
}

/// A time that may not be known.
pub(super) fn maybe_time(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(|| html! { "–" }, |at| time(at, now))
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    let apart = now.duration_since(at);
    if apart.is_negative() { format!("in {}", span(apart.abs())) } else { format!("{} ago", span(apart)) }
}

pub(super) fn length(duration: SignedDuration) -> String {
    let words = span(duration.abs());
    if duration.is_negative() { format!("-{words}") } else { words }
}

/// A number with its thousands apart.
pub(super) fn number(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// An id, or another word of a provider's, made harmless.
pub(super) fn code(text: &str) -> Markup {
    html! { code { (printable(text)) } }
}

/// A word of a provider's that may be missing.
pub(super) fn maybe_code(text: Option<&str>) -> Markup {
    text.map_or_else(|| html! { "–" }, code)
}

/// Links to the neighbours of a page of a list; the rest of the query stays.
pub(super) fn pager(path: &str, fields: &FormFields, skip: usize, size: usize, all: usize) -> Markup {
    let rest = fields.query_without(&["skip"]);
    let to = |skip: usize| format!("{path}?{rest}&skip={skip}");
    html! {
        @if all > size {
            nav class="pager" aria-label="Pages of this list" {
                @if skip > 0 { a href=(to(skip.saturating_sub(size))) rel="prev" { "Previous" } }
                span { (number(skip as u64 + 1)) "–" (number((skip + size).min(all) as u64)) " of " (number(all as u64)) }
                @if skip + size < all { a href=(to(skip + size)) rel="next" { "Next" } }
            }
        }
    }
}

/// From where on a list is shown.
pub(super) fn skip(fields: &FormFields) -> Result<usize, Refusal> {
    let skip = fields.get("skip").map_or(Ok(0), str::parse);
    skip.map_err(|_| Refusal::bad("skip must be a number."))
}
