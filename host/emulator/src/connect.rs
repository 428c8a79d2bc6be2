//! What a person needs to connect, as text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Any name does as a project; this one is shown.
const EXAMPLE_PROJECT: &str = "demo";

/// How the Python client and the console connect. `key` is `None` when it is the user's own, which is not
/// repeated.
pub(crate) fn instructions(address: SocketAddr, id: &str, key: Option<&str>) -> String {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let (endpoint, key) = (format!("http://{address}/api"), key.unwrap_or("YOUR_SECRET"));
    format!(
        "tables and sessions: http://{address}/\n\
         PyODPS: ODPS('{id}', '{key}', project='{EXAMPLE_PROJECT}', endpoint='{endpoint}')\n\
         odpscmd, in conf/odps_config.ini:\n\
         \x20 project_name={EXAMPLE_PROJECT}\n\
         \x20 access_id={id}\n\
         \x20 access_key={key}\n\
         \x20 end_point={endpoint}\n\
         \x20 tunnel_endpoint=http://{address}\n\
         \x20 https_check=false\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_all_is_shown_as_one_that_can_be_reached_and_secrets_are_not_shown() {
        let text = instructions("0.0.0.0:8080".parse().unwrap(), "me", None);
        assert!(text.contains("endpoint='http://127.0.0.1:8080/api'"), "{text}");
        assert!(text.contains("ODPS('me', 'YOUR_SECRET'"), "{text}");
        let text = instructions("127.0.0.1:1".parse().unwrap(), "me", Some("known"));
        assert!(text.contains("access_key=known\n"), "{text}");
    }
}
