//! A request's headers, as the rest of Milepost asks for them.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use crate::domain::authentication::Headers;

pub(super) struct HeaderView<'a>(pub(super) &'a HeaderMap);

impl Headers for HeaderView<'_> {
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        Box::new(self.0.get_all(name).into_iter().map(HeaderValue::as_bytes))
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }
}

impl HeaderView<'_> {
    /// Whether the body is compressed, or encoded in any other way. The empty encoding and `identity` are none.
    pub(super) fn encodes_body(&self) -> bool {
        let lines = self.0.get_all(CONTENT_ENCODING).into_iter().map(HeaderValue::as_bytes);
        let mut encodings = lines.flat_map(|line| line.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        encodings.any(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity"))
    }

    /// Whom the request is from, as the proxy before us says: the last address of the last `X-Forwarded-For`. A sender who
    /// has no proxy before them says there what they like.
    pub(super) fn forwarded_for(&self) -> Option<IpAddr> {
        let line = self.0.get_all("x-forwarded-for").into_iter().next_back()?.to_str().ok()?;
        let last = line.rsplit(',').next()?.trim();
        last.parse().ok().or_else(|| last.parse().ok().map(|address: SocketAddr| address.ip()))
    }
}
