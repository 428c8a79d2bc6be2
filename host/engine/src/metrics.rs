//! The metrics page: the counters in the text form that Prometheus reads, over HTTP.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::error::EngineError;
use crate::telemetry::{Progress, Telemetry};

/// A request line and its headers; what is longer is not a scraper.
const MAX_REQUEST: usize = 8 * 1024;
/// A scraper that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The serving task; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves the counters at every path of `address`.
pub(crate) fn serve(
    address: SocketAddr,
    telemetry: &Arc<Telemetry>,
    runtime: &Runtime,
) -> Result<Server, EngineError> {
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(|source| EngineError::Start {
        what: "the metrics page (`pipeline.metrics.address`)",
        source,
    })?;
    let telemetry = Arc::clone(telemetry);
    Ok(Server(runtime.spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let mut page = render(&telemetry.progress());
            telemetry.plugins.render(&mut page);
            // One at a time is enough for scrapers, and a slow one is cut off.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &page)).await;
        }
    })))
}

async fn answer(mut stream: TcpStream, page: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0_u8; 1024];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") && request.len() < MAX_REQUEST {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.as_bytes()).await?;
    stream.shutdown().await
}

fn render(progress: &Progress) -> String {
    let mut page = String::new();
    for (name, value) in progress.counters() {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a text cannot fail.
        let _ = writeln!(page, "# TYPE sluicebox_{name} {kind}\nsluicebox_{name} {value}");
    }
    let gauges = [
        ("lag_milliseconds", progress.lag_ms),
        ("checkpoint_timestamp_milliseconds", progress.checkpoint_at_ms),
    ];
    for (name, value) in gauges {
        let _ = writeln!(page, "# TYPE sluicebox_{name} gauge\nsluicebox_{name} {value}");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_on_the_page_with_its_kind() {
        let page = render(&Progress { sink_rows_written_total: 7, lag_ms: 12, ..Progress::default() });
        assert!(page.contains(
            "# TYPE sluicebox_sink_rows_written_total counter\nsluicebox_sink_rows_written_total 7\n"
        ));
        assert!(page.contains("# TYPE sluicebox_snapshot_tables gauge\n"));
        assert!(page.contains("sluicebox_lag_milliseconds 12\n"));
    }
}
