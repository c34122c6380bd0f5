//! Why a client connection ended, and the gentle end itself.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::LINGER;
use crate::buffer::Buf;
use crate::platform::Stream;

/// Why a client connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// The caller closed it.
    Client,
    /// The caller sent nothing for `client_idle_timeout`.
    Idle,
    /// The caller began to speak and stopped, `detect_timeout`.
    DetectTimeout,
    /// Half a frame, then silence or a drip, `frame_timeout`.
    FrameTimeout,
    /// The caller does not read, `client_write_timeout`.
    WriteTimeout,
    /// Bytes that are no frame.
    BadFrame,
    /// A frame over `max_frame`, or over what may be held.
    TooLarge,
    /// Another protocol, which this listener does not take.
    Protocol,
    /// A reply broke off in its middle.
    ReplyCut,
    /// The endpoint closed a relayed connection.
    Upstream,
    /// A relayed connection found no endpoint.
    NoEndpoint,
    /// It was one too many for its listener, `max_connections`.
    MaxConnections,
    /// It was one too many of its source address, `max_connections_per_source`.
    MaxConnectionsPerSource,
    /// tidegate is stopping.
    Drain,
    /// The system reported an error.
    Error,
}

impl Closed {
    /// The value of `reason` in `tidegate_client_closed_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Idle => "idle",
            Self::DetectTimeout => "detect_timeout",
            Self::FrameTimeout => "frame_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::BadFrame => "bad_frame",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
            Self::ReplyCut => "reply_cut",
            Self::Upstream => "upstream",
            Self::NoEndpoint => "no_endpoint",
            Self::MaxConnections => "max_connections",
            Self::MaxConnectionsPerSource => "max_connections_per_source",
            Self::Drain => "drain",
            Self::Error => "error",
        }
    }
}

/// Says that nothing more is coming, then reads and drops what still arrives, for a while: closing with bytes unread
/// would reset the connection, and destroy what the caller has not read yet.
pub(super) async fn gently(mut stream: Stream) {
    let (time, mut room) = LINGER;
    let drain = async {
        stream.shutdown().await?;
        let mut sink = Buf::take();
        while room > 0 {
            match stream.read_buf(&mut *sink).await? {
                0 => break,
                n => room = room.saturating_sub(n),
            }
            sink.clear();
        }
        std::io::Result::Ok(())
    };
    // Either way the connection is closed now.
    let _ = timeout(time, drain).await;
}
