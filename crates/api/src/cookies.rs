//! The one cookie there is: the session's.

use axum::http::{HeaderMap, HeaderValue, header};
use mainstay_model::Secret;

/// What a page that is ours sends with each change. A form of another site cannot: a header of one's
/// own needs leave that nobody is given.
pub const CSRF: &str = "x-mainstay-csrf";

/// The prefix makes the browser hold it to HTTPS, this very host and no path: no other service of the
/// domain can put one in its place.
fn name(secure: bool) -> &'static str {
    if secure { "__Host-mainstay" } else { "mainstay_session" }
}

pub fn session(headers: &HeaderMap, secure: bool) -> Option<Secret> {
    let texts = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name(secure))?;
    (!value.is_empty() && value.len() <= 256).then(|| Secret::new(value))
}

fn cookie(value: &str, seconds: i64, secure: bool) -> HeaderValue {
    let end = if secure { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{end}", name(secure));
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

pub fn begun(secret: &Secret, seconds: i64, secure: bool) -> HeaderValue {
    let mut value = cookie(secret.reveal(), seconds, secure);
    value.set_sensitive(true);
    value
}

pub fn ended(secure: bool) -> HeaderValue {
    cookie("", 0, secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cookie_of_the_scheme_counts() {
        let headers = HeaderMap::from_iter([
            (header::COOKIE, HeaderValue::from_static("other=1; mainstay_session=plain")),
            (header::COOKIE, HeaderValue::from_static("__Host-mainstay=secure")),
        ]);
        let of = |secure| session(&headers, secure).map(|s| s.reveal().to_string());
        assert_eq!((of(false), of(true)), (Some("plain".into()), Some("secure".into())));
        assert_eq!(session(&HeaderMap::new(), false), None);
    }

    #[test]
    fn a_script_never_sees_it_and_no_other_site_sends_it() {
        let plain = begun(&Secret::new("x"), 60, false);
        assert_eq!(plain.to_str().unwrap(), "mainstay_session=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
        let secure = begun(&Secret::new("x"), 60, true);
        assert_eq!(secure.to_str().unwrap(), "__Host-mainstay=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        assert!(ended(true).to_str().unwrap().contains("Max-Age=0"));
    }
}
