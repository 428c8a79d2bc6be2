//! Whether a request is of now.
//!
//! A signature covers the request's date and, in version 4, the day its key was derived for. What skew the
//! service allows is not known; a quarter of an hour is what services of its kind allow.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::call::Call;
use crate::fault::Fault;

/// Largest difference from the server's clock.
const MAX_SKEW_MS: i64 = 15 * 60_000;

/// Refuses a request whose date is missing, not a date, or far from the clock.
pub(super) fn check(call: &Call, now_ms: i64) -> Result<(), Fault> {
    let refuse = |text: String| Err(Fault::Unauthorized(text));
    let Some(text) = call.header("date") else {
        return refuse("the request carries no Date header".to_owned());
    };
    let Ok(date) = NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT") else {
        return refuse(format!(
            "the Date header `{text}` is not of the form `Sat, 09 Mar 2024 12:00:00 GMT`"
        ));
    };
    if (date.and_utc().timestamp_millis() - now_ms).abs() > MAX_SKEW_MS {
        let now = DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
        return refuse(format!("the Date header is more than 15 minutes away from {now}"));
    }
    match scope_day(call.header("authorization").unwrap_or_default()) {
        // A client may derive its key just before midnight and send the request just after.
        Some(day) if (day - date.date()).num_days().abs() > 1 => {
            refuse(format!("the signing key is of {day}, the request of {date}"))
        }
        _ => Ok(()),
    }
}

/// The day in the credential of a version 4 signature.
fn scope_day(authorization: &str) -> Option<NaiveDate> {
    let day = authorization.split('/').nth(1)?;
    NaiveDate::parse_from_str(day, "%Y%m%d").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, HeaderName, Method, Uri};

    /// Sat, 09 Mar 2024 12:00:00 GMT.
    const NOON_MS: i64 = 1_709_985_600_000;

    fn checked(headers: &[(&str, &str)], now_ms: i64) -> Result<(), Fault> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        check(&Call::new(Method::GET, &Uri::from_static("/projects/p"), map, Bytes::new(), "h:1"), now_ms)
    }

    #[test]
    fn a_date_must_be_well_formed_and_near_the_clock() {
        let date = |text| [("date", text)];
        let noon = "Sat, 09 Mar 2024 12:00:00 GMT";
        for near in [NOON_MS, NOON_MS + MAX_SKEW_MS, NOON_MS - MAX_SKEW_MS] {
            checked(&date(noon), near).unwrap();
        }
        for (headers, now) in [
            (&date(noon)[..], NOON_MS + MAX_SKEW_MS + 1),
            (&date(noon), NOON_MS - MAX_SKEW_MS - 1),
            (&date("2024-03-09T12:00:00Z"), NOON_MS),
            (&[], NOON_MS),
        ] {
            assert!(matches!(checked(headers, now), Err(Fault::Unauthorized(_))), "{headers:?} {now}");
        }
    }

    #[test]
    fn a_version_4_key_must_be_of_the_requests_day() {
        let signed = |day: &str| format!("ODPS id/{day}/cn-hangzhou/odps/aliyun_v4_request:c2ln");
        for (day, good) in [("20240309", true), ("20240308", true), ("20240307", false), ("20250309", false)]
        {
            let headers =
                [("date", "Sat, 09 Mar 2024 12:00:00 GMT"), ("authorization", &signed(day) as &str)];
            assert_eq!(checked(&headers, NOON_MS).is_ok(), good, "{day}");
        }
    }
}
