//! Logging in and out.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::html;

use crate::console::Console;
use crate::console::access::LoginRefusal;
use crate::console::cookie::Reached;
use crate::console::page;
use crate::console::web::{Posted, form, peer, see_other};

/// Else the login would seem to do nothing.
const IN_THE_CLEAR: &str = "This address is plain HTTP, at which a browser keeps no session of ours. Open the console by HTTPS, \
                            or on its own machine or through a tunnel as http://localhost.";

pub(in crate::console) async fn page(State(console): State<Arc<Console>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let next = next(parts.uri.query().unwrap_or_default());
    let entered = peer(&parts).map(|peer| console.access.visitor(&parts.headers, peer));
    if matches!(entered, Some(Ok(_))) { see_other(&next) } else { shown(&next, None) }
}

/// The page that was asked for first: one of ours only.
fn next(query: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let next = pairs.find(|(name, _)| name == "next").map(|(_, next)| next.into_owned());
    let ours = next.filter(|next| {
        let mut characters = next.bytes();
        characters.next() == Some(b'/')
            && !matches!(characters.next(), Some(b'/' | b'\\'))
            && next.bytes().all(|byte| byte.is_ascii_graphic())
    });
    ours.unwrap_or_else(|| "/".to_owned())
}

fn shown(next: &str, wrong: Option<&str>) -> Response {
    let content = html! {
        form class="login" action="/login" method="post" {
            @if let Some(wrong) = wrong { p class="notice bad" role="alert" { (wrong) } }
            input type="hidden" name="next" value=(next);
            label for="name" { "Name" }
            input id="name" name="name" required autofocus autocomplete="username" autocapitalize="none" spellcheck="false";
            label for="password" { "Password" }
            input id="password" name="password" type="password" required autocomplete="current-password";
            button type="submit" { "Log in" }
        }
    };
    page::bare("Log in", &content)
}

/// Takes a name and a password.
pub(in crate::console) async fn log_in(State(console): State<Arc<Console>>, request: Request) -> Response {
    let reached = console.access.reached(request.headers());
    let fields = match form(request).await {
        Ok(fields) => fields,
        Err(refusal) => return refusal,
    };
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("next", fields.get("next").unwrap_or("/"))
        .finish();
    let next = next(&query);
    if reached == Reached::InTheClear {
        return (StatusCode::BAD_REQUEST, shown(&next, Some(IN_THE_CLEAR))).into_response();
    }
    let (name, password) =
        (fields.get("name").unwrap_or_default(), fields.exact("password").unwrap_or_default());
    match console.access.log_in(name, password.to_owned()).await {
        Ok(cookie) => with_cookie(see_other(&next), &console, &cookie, reached),
        Err(LoginRefusal::Wrong) => {
            let page = shown(&next, Some("The name or the password is wrong."));
            (StatusCode::UNAUTHORIZED, page).into_response()
        }
        Err(LoginRefusal::Busy) => {
            let page = shown(&next, Some("Too many passwords are tried at once. Try again in a moment."));
            (StatusCode::TOO_MANY_REQUESTS, page).into_response()
        }
    }
}

pub(in crate::console) async fn log_out(State(console): State<Arc<Console>>, request: Request) -> Response {
    match Posted::from_request(request, &console).await {
        Ok(posted) => {
            console.access.log_out(&posted.headers);
            with_cookie(see_other("/login"), &console, "", console.access.reached(&posted.headers))
        }
        Err(refusal) => refusal,
    }
}

fn with_cookie(mut response: Response, console: &Console, value: &str, reached: Reached) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(&console.access.set_cookie(value, reached)) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
