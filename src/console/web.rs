//! A request's visitor, its query, and its form.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::access::{NoEntry, Visitor};
use super::{Console, page};
use crate::config::Right;

/// The other end of the connection: the browser, or a proxy.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerAddr(pub(super) IpAddr);

/// The name of a form's token.
pub(super) const CSRF: &str = "csrf";

/// A page instead of the one that was asked for.
pub(super) struct Refusal(StatusCode, &'static str, String);

impl Refusal {
    pub(super) fn new(code: StatusCode, title: &'static str, says: impl Into<String>) -> Self {
        Self(code, title, says.into())
    }

    /// What was asked for is not there.
    pub(super) fn gone(says: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", says)
    }

    /// What was asked makes no sense.
    pub(super) fn bad(says: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "That cannot be done", says)
    }

    /// A server could not be asked.
    pub(super) fn away(error: &anyhow::Error) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "A server does not answer", format!("{error:#}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(code, title, says) = self;
        let content =
            html! { p class="notice bad" role="alert" { (says) } p { a href="/" { "Back to Now" } } };
        (code, page::bare(title, &content)).into_response()
    }
}

/// Where there is no such page.
pub(super) async fn not_found() -> Refusal {
    Refusal::gone("There is no such page.")
}

/// Names and values, of a query or of a form. A name may come several times.
#[derive(Debug, Clone, Default)]
pub(super) struct FormFields(Vec<(String, String)>);

impl FormFields {
    fn read(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of that name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.trim())
            .find(|value| !value.is_empty())
    }

    /// All values of that name that are not empty.
    pub(super) fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let of_name = self.0.iter().filter(move |(found, _)| found == name);
        of_name.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value as it was sent.
    pub(super) fn exact(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The fields, but for those of these names, as a query.
    pub(super) fn query_without(&self, names: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, value)| !names.contains(&name.as_str()) && !value.is_empty());
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }
}

pub(super) struct PageRequest {
    pub(super) visitor: Visitor,
    pub(super) fields: FormFields,
}

impl FromRequestParts<Arc<Console>> for PageRequest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        let visitor = visitor(parts, console).map_err(|refusal| *refusal)?;
        Ok(Self { visitor, fields: FormFields::read(parts.uri.query().unwrap_or_default().as_bytes()) })
    }
}

fn visitor(parts: &Parts, console: &Console) -> Result<Visitor, Box<Response>> {
    let entered = peer(parts).map(|peer| console.access.visitor(&parts.headers, peer));
    match entered.unwrap_or(Err(NoEntry::LogIn)) {
        Ok(visitor) => Ok(visitor),
        Err(NoEntry::LogIn) => {
            let next = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            Err(Box::new(see_other(&format!("/login?{query}"))))
        }
        Err(NoEntry::NotByProxy) => {
            let says = "This console is entered by way of its proxy, which says who you are.";
            Err(Box::new(Refusal::new(StatusCode::FORBIDDEN, "Not by this way", says).into_response()))
        }
        Err(NoEntry::NoRights) => {
            let says = "You are known, and have no right here. Rights are given in the console's users file.";
            Err(Box::new(Refusal::new(StatusCode::FORBIDDEN, "You may not", says).into_response()))
        }
    }
}

pub(super) fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<PeerAddr>().map(|peer| peer.0)
}

/// A form that was posted from one of our own pages.
pub(super) struct Posted {
    pub(super) visitor: Visitor,
    pub(super) fields: FormFields,
    pub(super) headers: HeaderMap,
}

impl FromRequest<Arc<Console>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Arc<Console>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let visitor = visitor(&parts, console).map_err(|refusal| *refusal)?;
        let headers = parts.headers.clone();
        let fields = form(Request::from_parts(parts, body)).await?;
        let token = fields.exact(CSRF).unwrap_or_default();
        if !bool::from(token.as_bytes().ct_eq(visitor.csrf.as_bytes())) {
            let says = "The form was not one of this session's. Nothing was done: open the page again and repeat it.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Nothing was done", says).into_response());
        }
        Ok(Self { visitor, fields, headers })
    }
}

/// The fields of a form that is not from another site.
pub(super) async fn form(request: Request) -> Result<FormFields, Response> {
    if !is_our_own(request.headers()) {
        let says = "The form is from another site. Nothing was done.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Nothing was done", says).into_response());
    }
    let is_form = |value: &HeaderValue| value.as_bytes().starts_with(b"application/x-www-form-urlencoded");
    if !request.headers().get(CONTENT_TYPE).is_some_and(is_form) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response());
    }
    let body = Bytes::from_request(request, &()).await.map_err(IntoResponse::into_response)?;
    Ok(FormFields::read(&body))
}

/// Browsers say where a form is from. What says nothing is no browser.
fn is_our_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    // TLS may end before us, so the scheme is not compared.
    let host = text("host");
    text("origin").is_none_or(|origin| origin.split_once("://").map(|(_, host)| host) == host)
}

/// Sends the browser to one of our own pages.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// Refuses a visitor who has not the right.
pub(super) fn needs(visitor: &Visitor, right: Right) -> Result<(), Refusal> {
    if visitor.may(right) {
        return Ok(());
    }
    let says = format!("This needs the right \"{}\", which {} has not.", right.as_str(), visitor.name);
    Err(Refusal::new(StatusCode::FORBIDDEN, "You may not", says))
}

/// The token of a visitor's forms.
pub(super) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(visitor.csrf); }
}
